//! How many connections the limit for open files leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit for open files to what this process may have: many systems start it with 1,024.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!(%error, ?current, ?maximum, "the limit for open files stays as it is");
    }
}

/// Connections a server may hold at once, `wanted` at most: a quarter of the descriptors is left to the database, the
/// broker and the rest.
pub(super) fn connections(wanted: usize) -> usize {
    within(getrlimit(Resource::Nofile).current, wanted)
}

fn within(descriptors: Option<u64>, wanted: usize) -> usize {
    let Some(descriptors) = descriptors.and_then(|limit| usize::try_from(limit).ok()) else {
        return wanted;
    };
    (descriptors - descriptors / 4).clamp(1, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        for (descriptors, connections) in
            [(None, 2_048), (Some(1_048_576), 2_048), (Some(1_024), 768), (Some(256), 192), (Some(1), 1), (Some(0), 1)]
        {
            assert_eq!(within(descriptors, 2_048), connections, "{descriptors:?}");
        }
    }
}
