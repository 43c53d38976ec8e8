//! What CONFIG GET and CONFIG SET know.
//!
//! Some parameters mean something here; the others exist because clients and test suites set
//! them: they are checked as Redis checks them, and remembered. The tables are the files below,
//! by subject; a new parameter is a row there, a [`Live`] if it is read often, and nothing else.

mod clients;
mod encodings;
mod kind;
mod memory;
mod observing;
#[cfg(test)]
mod page;
mod persistence;
mod replication;
mod row;
mod server;

#[cfg(test)]
pub(crate) use page::page;
pub(crate) use row::Live;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use parking_lot::RwLock;
use row::{Access, Parameter};

use crate::access::USER_SETTING;
use crate::config::{AppendFsync, Config};
use crate::error::Error;
use crate::glob::{self, Case};
use crate::shared::Shared;

static SUBJECTS: [&[Parameter]; 7] = [
    clients::PARAMETERS,
    encodings::PARAMETERS,
    memory::PARAMETERS,
    observing::PARAMETERS,
    persistence::PARAMETERS,
    replication::PARAMETERS,
    server::PARAMETERS,
];

/// All of them, in the order of their names.
static PARAMETERS: LazyLock<Vec<&'static Parameter>> = LazyLock::new(|| {
    let mut all: Vec<&Parameter> = SUBJECTS.iter().copied().flatten().collect();
    all.sort_by_key(|parameter| parameter.name);
    all
});

/// Taken from the fields of [`Config`] by whoever needs them.
const HAVE_FIELDS: [&str; 7] =
    ["bind", "databases", "dir", "io-threads", "port", "protected-mode", "set-reverse-index"];

/// Why CONFIG SET refuses. The texts are Redis' own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetError {
    #[error("Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {why}")]
    Refused { name: String, why: String },
}

/// The parameters; those that are read often also as numbers.
#[derive(Debug)]
pub(crate) struct Parameters {
    /// In the order of `PARAMETERS`.
    values: RwLock<Vec<String>>,
    numbers: [AtomicI64; Live::COUNT],
}

/// Parameters that have been set, and what is left to do about it.
#[derive(Debug)]
#[must_use = "changed parameters take effect when applied"]
pub(crate) struct Changed(Vec<(&'static Parameter, String)>);

impl Changed {
    /// Makes them effective where more than the number is needed.
    pub(crate) fn apply(self, shared: &Shared) {
        for (parameter, value) in self.0 {
            if let Some(then) = parameter.then {
                then(shared, &value);
            }
        }
    }
}

impl Parameters {
    /// The defaults, under what `config` says.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `config` has a setting that no parameter takes.
    pub(crate) fn new(config: &Config, port: u16) -> Result<Self, Error> {
        let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let mut values: Vec<String> = PARAMETERS.iter().map(|row| row.default.to_owned()).collect();
        for (name, value) in [
            ("appendfsync", config.appendfsync.name().to_owned()),
            ("bind", config.bind.to_string()),
            ("databases", config.databases.to_string()),
            ("dir", config.dir.clone()),
            ("maxclients", config.clients_max.to_string()),
            ("io-threads", config.threads.to_string()),
            ("port", port.to_string()),
            ("protected-mode", yes_no(config.protected_mode)),
            ("set-reverse-index", yes_no(config.set_reverse_index)),
        ] {
            values[find(name).expect("the table has it")] = value;
        }
        for (name, value) in &config.settings {
            if name.eq_ignore_ascii_case(USER_SETTING) {
                // No parameter, but something to start with.
                continue;
            }
            let refuse = |why: String| Error::Setting { name: name.clone(), why };
            let at = find(name).ok_or_else(|| refuse("no such parameter".to_owned()))?;
            if HAVE_FIELDS.contains(&PARAMETERS[at].name) {
                return Err(refuse("it has a flag of its own".to_owned()));
            }
            let accepted = PARAMETERS[at].accept(value.as_bytes(), &values[at]);
            values[at] = accepted.map_err(refuse)?;
        }
        let numbers = std::array::from_fn(|_| AtomicI64::new(0));
        let parameters = Parameters { values: RwLock::new(values), numbers };
        (0..PARAMETERS.len()).for_each(|at| parameters.renew(at, &parameters.values.read()));
        Ok(parameters)
    }

    /// A parameter that is read often.
    #[inline]
    pub(crate) fn number(&self, live: Live) -> i64 {
        self.numbers[live.place()].load(Relaxed)
    }
    /// The same of one that is never negative, as a size.
    pub(crate) fn size(&self, live: Live) -> usize {
        usize::try_from(self.number(live)).unwrap_or(0)
    }
    /// `proto-max-bulk-len`.
    pub(crate) fn bulk_len_max(&self) -> u64 {
        u64::try_from(self.number(Live::BulkLenMax)).unwrap_or(0)
    }
    /// `client-query-buffer-limit`.
    pub(crate) fn input_bytes_max(&self) -> usize {
        self.size(Live::InputBytesMax)
    }
    /// `maxclients`.
    pub(crate) fn clients_max(&self) -> usize {
        self.size(Live::ClientsMax)
    }
    pub(crate) fn appendfsync(&self) -> AppendFsync {
        match self.number(Live::AppendFsync) {
            0 => AppendFsync::EverySec,
            1 => AppendFsync::Always,
            _ => AppendFsync::No,
        }
    }
    /// A value as text; empty if there is no such parameter.
    pub(crate) fn value(&self, name: &str) -> String {
        find(name).map_or_else(String::new, |at| self.values.read()[at].clone())
    }

    /// The parameters that match one of `patterns`, under the names asked for.
    pub(crate) fn matching(&self, patterns: &[&[u8]]) -> Vec<(&'static str, String)> {
        let values = self.values.read();
        let mut found = Vec::new();
        for (parameter, value) in PARAMETERS.iter().zip(values.iter()) {
            let asked = |name: &str| {
                let is_asked = |pattern: &&[u8]| match parameter.is_hidden {
                    true => pattern.eq_ignore_ascii_case(name.as_bytes()),
                    false => glob::matches(pattern, name.as_bytes(), Case::Ignored),
                };
                !name.is_empty() && patterns.iter().any(is_asked)
            };
            for shown in [parameter.name, parameter.alias] {
                if asked(shown) {
                    found.push((shown, value.clone()));
                }
            }
        }
        found
    }

    /// Sets all of `pairs`, or none.
    pub(crate) fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<Changed, SetError> {
        let places = self.settable(pairs)?;
        let mut values = self.values.write();
        let mut new = Vec::new();
        for (&at, (asked, value)) in places.iter().zip(pairs) {
            let (parameter, current) = (PARAMETERS[at], &values[at]);
            let value = parameter.accept(value, current).map_err(|why| refused(asked, why))?;
            if parameter.access == Access::Same && value != *current {
                return Err(refused(asked, only_at_the_start(parameter)));
            }
            if let Some(check) = parameter.check
                && value != *current
            {
                check(&value).map_err(|why| refused(asked, why))?;
            }
            new.push((parameter, value));
        }
        for (&at, (_, value)) in places.iter().zip(&new) {
            values[at].clone_from(value);
            self.renew(at, &values);
        }
        Ok(Changed(new))
    }

    /// The places of the parameters named, if all of them may be set.
    fn settable(&self, pairs: &[(&[u8], &[u8])]) -> Result<Vec<usize>, SetError> {
        let mut places = Vec::new();
        for (asked, _) in pairs {
            let name = String::from_utf8_lossy(asked);
            let Some(at) = find(&name) else { return Err(SetError::Unknown(name.into_owned())) };
            if PARAMETERS[at].access == Access::Fixed {
                return Err(refused(asked, "can't set immutable config".to_owned()));
            }
            if places.contains(&at) {
                return Err(refused(asked, "duplicate parameter".to_owned()));
            }
            places.push(at);
        }
        Ok(places)
    }

    /// Brings the number of a parameter up to date with its text.
    fn renew(&self, at: usize, values: &[String]) {
        let parameter = PARAMETERS[at];
        if let Some(live) = parameter.live {
            self.numbers[live.place()].store(parameter.kind.number(&values[at]), Relaxed);
        }
    }
}

fn refused(asked: &[u8], why: String) -> SetError {
    SetError::Refused { name: String::from_utf8_lossy(asked).into_owned(), why }
}

/// The place of a parameter, by one of its names in any case.
fn only_at_the_start(parameter: &Parameter) -> String {
    let why = "it can be changed at the start only";
    match parameter.name {
        "port" => format!("Unable to listen on this port: {why}"),
        _ => why.to_owned(),
    }
}

fn find(asked: &str) -> Option<usize> {
    let asked = asked.to_ascii_lowercase();
    let at = PARAMETERS.binary_search_by_key(&asked.as_str(), |parameter| parameter.name);
    at.ok().or_else(|| {
        let is_alias = |row: &&Parameter| !asked.is_empty() && row.alias == asked;
        PARAMETERS.iter().position(is_alias)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters::new(&Config::default(), 6379).unwrap()
    }

    fn set(parameters: &Parameters, pairs: &[(&[u8], &[u8])]) -> Result<(), String> {
        parameters.set(pairs).map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_occur_once_and_defaults_are_accepted() {
        let names: Vec<&str> = PARAMETERS.iter().map(|row| row.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        for row in PARAMETERS.iter().filter(|row| !row.default.is_empty()) {
            let accepted = row.accept(row.default.as_bytes(), row.default);
            assert_eq!(accepted.as_deref(), Ok(row.default), "{}", row.name);
        }
    }

    #[test]
    fn every_live_number_has_one_row() {
        let mut places: Vec<usize> =
            PARAMETERS.iter().filter_map(|row| row.live.map(Live::place)).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..Live::COUNT));
    }

    #[test]
    fn every_value_can_be_set_to_itself() {
        let parameters = parameters();
        let all = parameters.matching(&[b"*"]);
        for (name, value) in &all {
            match set(&parameters, &[(name.as_bytes(), value.as_bytes())]) {
                Ok(()) => {}
                Err(error) => assert!(error.contains("immutable"), "{name}: {error}"),
            }
        }
        assert_eq!(parameters.matching(&[b"*"]), all);
    }

    #[test]
    fn parameters_of_our_own_can_be_set_to_what_they_are() {
        // Tools set all that CONFIG GET tells, but what they know to be immutable.
        let parameters = parameters();
        for name in ["check-orphans", "set-reverse-index"] {
            set(&parameters, &[(name.as_bytes(), b"no")]).unwrap();
            let error = set(&parameters, &[(name.as_bytes(), b"yes")]).unwrap_err();
            assert!(error.contains("at the start only"), "{error}");
        }
    }

    #[test]
    fn a_refused_parameter_leaves_the_others_as_they_were() {
        let parameters = parameters();
        let error = set(&parameters, &[(b"maxmemory", b"10mb"), (b"HZ", b"abc")]);
        assert_eq!(
            error.unwrap_err(),
            "CONFIG SET failed (possibly related to argument 'HZ') - \
             argument couldn't be parsed into an integer"
        );
        assert_eq!(parameters.value("maxmemory"), "0");
        set(&parameters, &[(b"maxmemory", b"10mb"), (b"proto-max-bulk-len", b"2mb")]).unwrap();
        assert_eq!(parameters.value("maxmemory"), "10485760");
        assert_eq!(parameters.bulk_len_max(), 2 << 20);
    }

    #[test]
    fn names_are_checked_before_values() {
        let parameters = parameters();
        for (pairs, why) in [
            ([(&b"hz"[..], &b"x"[..]), (b"databases", b"3")], "immutable"),
            ([(b"hz", b"1"), (b"HZ", b"2")], "'HZ') - duplicate parameter"),
            ([(b"hz", b"x"), (b"No-Such", b"2")], "CONFIG SET - 'No-Such'"),
        ] {
            let error = set(&parameters, &pairs).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_parameter_answers_to_both_its_names() {
        let parameters = parameters();
        set(&parameters, &[(b"list-max-ziplist-size", b"-5")]).unwrap();
        assert_eq!(
            parameters.matching(&[b"list-max-*"]),
            [
                ("list-max-listpack-size", "-5".to_owned()),
                ("list-max-ziplist-size", "-5".to_owned())
            ]
        );
    }

    #[test]
    fn hidden_parameters_are_given_by_name_only() {
        let parameters = parameters();
        assert!(parameters.matching(&[b"rdb-key-save*"]).is_empty());
        assert_eq!(parameters.matching(&[b"rdb-key-save-delay"]).len(), 1);
    }

    #[test]
    fn settings_of_the_start_may_change_what_is_fixed_later() {
        let setting = |name: &str, value: &str| {
            let settings = vec![(name.to_owned(), value.to_owned())];
            Parameters::new(&Config { settings, ..Config::default() }, 1)
        };
        let parameters = setting("enable-debug-command", "local").unwrap();
        assert_eq!(parameters.number(Live::DebugCommand), 2);
        assert!(matches!(setting("hz", "x"), Err(Error::Setting { .. })));
        assert!(matches!(setting("no-such", "x"), Err(Error::Setting { .. })));
        assert!(matches!(setting("port", "7"), Err(Error::Setting { .. })));
    }
}
