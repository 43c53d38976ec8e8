//! A server that remembers what it has looked up, beside one that forgets it before each request.

use super::Fixture;

/// Runs random requests on both: those that `draw` gives, and in between those that concern all
/// keys at once or begin and end transactions. After each, the replies to it and to the looks at
/// what it may have changed, which `draw` gives too, must be the same.
pub(crate) fn compare_with_forgetful(
    requests: usize,
    mut draw: impl FnMut(&mut fastrand::Rng) -> (String, Vec<String>),
) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut with, mut without) = (Fixture::new(), Fixture::new());
    for _ in 0..requests {
        let (mut request, looks) = draw(&mut rng);
        match rng.u8(..120) {
            0 => request = "FLUSHDB".to_owned(),
            1 => request = "SWAPDB 0 1".to_owned(),
            2..=5 => request = "MULTI".to_owned(),
            6..=9 => request = "EXEC".to_owned(),
            10..=13 => request = "DISCARD".to_owned(),
            _ => {}
        }
        for fixture in [&mut with, &mut without] {
            fixture.now_ms += 1;
        }
        without.forget_hot();
        assert_eq!(with.run(&request), without.run(&request), "{request}");
        for look in looks {
            assert_eq!(with.run(&look), without.run(&look), "{look} after {request}");
        }
    }
    assert_eq!((with.orphans(), without.orphans()), (0, 0));
}
