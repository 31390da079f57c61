//! Places for work that blocks a thread until it ends: so many in all, and one for each name.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Semaphore, task::spawn_blocking};

#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    /// The place of each name that somebody waits for or has.
    names: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Places {
    pub(crate) fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), names: Mutex::default() }
    }

    /// Runs this on a thread of its own. Its places are free again when it ends, and not when nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let of_name = self.of_name(name).acquire_owned().await.map_err(io::Error::other)?;
        let of_all = self.all.clone().acquire_owned().await.map_err(io::Error::other)?;
        let work = move || {
            let _places = (of_name, of_all);
            work()
        };
        spawn_blocking(work).await.map_err(io::Error::other)?
    }

    fn of_name(&self, name: &str) -> Arc<Semaphore> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody but this map knows those that are not needed any more.
        names.retain(|_, place| Arc::strong_count(place) > 1);
        names.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// Work that ends when this is dropped, for which nobody waits any more.
    async fn abandoned(places: &Places, name: &str) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel::<()>();
        let slow = places.run(name, move || Ok(ended.recv().is_ok()));
        assert!(timeout(SHORT, slow).await.is_err(), "it does not end");
        end
    }

    #[tokio::test]
    async fn work_for_which_nobody_waits_keeps_its_places() {
        let places = Places::new(2);
        let first = abandoned(&places, "a").await;
        assert!(timeout(SHORT, places.run("a", || Ok(()))).await.is_err(), "its name has one place");
        places.run("b", || Ok(())).await.expect("another name has its own");
        let second = abandoned(&places, "b").await;
        assert!(timeout(SHORT, places.run("c", || Ok(()))).await.is_err(), "there are two in all");
        drop((first, second));
        for name in ["a", "b", "c"] {
            places.run(name, || Ok(())).await.expect("there is room again");
        }
        places.of_name("d");
        assert_eq!(places.names.lock().expect("not poisoned").len(), 1, "others are forgotten");
    }
}
