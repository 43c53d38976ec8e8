//! The users that a server starts with: of a file, of settings, or `default` alone.

use std::collections::BTreeSet;

use super::{Access, ChannelsDefault, DEFAULT_USER};
use crate::config::Config;
use crate::error::Error;
use crate::parameters::Parameters;
use crate::resp::split_words;

/// The setting that defines a user: `NAME RULE …`; may be given more than once.
pub(crate) const USER_SETTING: &str = "user";

impl ChannelsDefault {
    /// As `acl-pubsub-default` has it.
    pub(crate) fn of(parameters: &Parameters) -> Self {
        match parameters.value("acl-pubsub-default").as_str() {
            "allchannels" => ChannelsDefault::All,
            _ => ChannelsDefault::None,
        }
    }
}

impl Access {
    /// As the configuration says.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a user cannot be made, the file cannot be read, or both are given.
    pub(crate) fn start(config: &Config, parameters: &Parameters) -> Result<Self, Error> {
        let mut access = Access::new(&parameters.value("requirepass"));
        let channels = ChannelsDefault::of(parameters);
        let mut names = BTreeSet::new();
        for (name, definition) in &config.settings {
            if name.eq_ignore_ascii_case(USER_SETTING) {
                access
                    .define(definition, channels, &mut names)
                    .map_err(|why| Error::Setting { name: name.clone(), why })?;
            }
        }
        let path = parameters.value("aclfile");
        if !path.is_empty() {
            let refuse = |why: String| Error::Setting { name: "aclfile".to_owned(), why };
            if !names.is_empty() {
                let why = "users are defined by the setting user, too: one place must have them";
                return Err(refuse(why.to_owned()));
            }
            access.set_file(&path, channels).map_err(refuse)?;
        }
        Ok(access)
    }

    /// Makes the user that a setting defines.
    fn define(
        &self,
        definition: &str,
        channels: ChannelsDefault,
        names: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), String> {
        let words = split_words(definition.as_bytes()).ok_or("a quote is not closed")?;
        let [name, rules @ ..] = words.as_slice() else { return Err("a name is missing".into()) };
        if !names.insert(name.clone()) {
            let name = String::from_utf8_lossy(name);
            return Err(format!("Duplicate user '{name}' found"));
        }
        let mut words: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
        if name == DEFAULT_USER {
            words.insert(0, b"reset");
        }
        // Nobody is connected yet.
        self.change(name, &words, channels).map(|_| ()).map_err(|error| error.to_string())
    }
}
