//! Names to ports, with a bounded number of questions to each EPMD.
//!
//! Any database role can make us look up names by the thousand. A few are asked
//! for one by one; whoever comes while those are under way waits for one listing
//! of all names, which answers everybody at once. Names that no node has are then
//! as good as free, and an EPMD is spared them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use crate::epmd::{self, EpmdError};

/// Single questions to one EPMD at one time.
const MAX_SINGLE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct PortLookups {
    epmds: Mutex<HashMap<SocketAddr, Questions>>,
}

/// What one EPMD is being asked.
#[derive(Debug)]
struct Questions {
    single: usize,
    waiting: usize,
    /// The listing that has not begun yet.
    next: Arc<Listing>,
    /// One listing at a time.
    turn: Arc<Semaphore>,
}

/// Ports by alive name.
type Ports = BTreeMap<String, u16>;

/// One question for all names.
#[derive(Debug, Default)]
struct Listing(OnceCell<Ports>);

/// Takes a question off the books however it ends.
struct Asking<'a> {
    lookups: &'a PortLookups,
    epmd: SocketAddr,
    single: bool,
}

impl PortLookups {
    /// The port of a name; `None` if EPMD does not know it.
    ///
    /// # Errors
    ///
    /// When EPMD is not to be reached, silent, or no EPMD. Cancel safe: whoever else
    /// waits for the same listing makes it.
    pub(super) async fn port(
        &self,
        epmd: SocketAddr,
        alive: &str,
        limit: Duration,
    ) -> Result<Option<u16>, EpmdError> {
        let asking = self.ask(epmd);
        if asking.single {
            return epmd::lookup(epmd, alive, limit).await;
        }
        match timeout(limit, self.listed(epmd, limit)).await {
            Ok(Ok(listing)) => Ok(listing.0.get().and_then(|ports| ports.get(alive).copied())),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(EpmdError::Timeout(epmd)),
        }
    }

    /// The next listing, made by us or by somebody else who waits for it.
    async fn listed(&self, epmd: SocketAddr, limit: Duration) -> Result<Arc<Listing>, EpmdError> {
        let (listing, turn) = self.next_listing(epmd);
        let make = async || {
            let _turn = turn.acquire().await;
            // Who asks from here on gets a listing that begins after that.
            self.seal(epmd);
            let names = epmd::names(epmd, limit).await?;
            let names = names.into_iter();
            Ok(names.map(|(name, port)| (name.to_string(), port)).collect())
        };
        listing.0.get_or_try_init(make).await?;
        Ok(listing)
    }

    fn ask(&self, epmd: SocketAddr) -> Asking<'_> {
        let mut epmds = self.lock();
        let questions = epmds.entry(epmd).or_default();
        let single = questions.single < MAX_SINGLE;
        if single {
            questions.single += 1;
        } else {
            questions.waiting += 1;
        }
        Asking {
            lookups: self,
            epmd,
            single,
        }
    }

    fn next_listing(&self, epmd: SocketAddr) -> (Arc<Listing>, Arc<Semaphore>) {
        let mut epmds = self.lock();
        let questions = epmds.entry(epmd).or_default();
        (questions.next.clone(), questions.turn.clone())
    }

    fn seal(&self, epmd: SocketAddr) {
        if let Some(questions) = self.lock().get_mut(&epmd) {
            questions.next = Arc::default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Questions>> {
        self.epmds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            single: 0,
            waiting: 0,
            next: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut epmds = self.lookups.lock();
        let Some(questions) = epmds.get_mut(&self.epmd) else {
            return;
        };
        if self.single {
            questions.single -= 1;
        } else {
            questions.waiting -= 1;
        }
        if questions.single == 0 && questions.waiting == 0 {
            epmds.remove(&self.epmd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgmesh_testkit::ScratchEpmd;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_thousand_names_are_a_few_questions() {
        let epmd = ScratchEpmd::start().await;
        epmd.add("honest", 4711);
        let address = SocketAddr::from(([127, 0, 0, 1], epmd.port()));
        let lookups = Arc::new(PortLookups::default());
        let mut asked = Vec::new();
        for number in 0..1000 {
            let lookups = Arc::clone(&lookups);
            let name = match number {
                500 => "honest".to_owned(),
                _ => format!("flood{number}"),
            };
            asked.push(tokio::spawn(async move {
                lookups.port(address, &name, LIMIT).await.unwrap()
            }));
        }
        let mut found = Vec::new();
        for answer in asked {
            found.extend(answer.await.unwrap());
        }
        assert_eq!(found, [4711]);
        assert!(epmd.questions() <= 4 * MAX_SINGLE, "{}", epmd.questions());
        assert!(lookups.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_listing_to_the_others() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let lookups = Arc::new(PortLookups::default());
        let ask = |limit| {
            let lookups = Arc::clone(&lookups);
            tokio::spawn(async move { lookups.port(address, "a", limit).await })
        };
        let singles: Vec<_> = (0..MAX_SINGLE).map(|_| ask(LIMIT)).collect();
        tokio::task::yield_now().await;
        let (first, second) = (ask(LIMIT), ask(Duration::from_millis(50)));
        tokio::task::yield_now().await;
        first.abort();
        let given_up = second.await.unwrap();
        assert!(matches!(given_up, Err(EpmdError::Timeout(_))));
        singles.iter().for_each(tokio::task::JoinHandle::abort);
        for single in singles {
            let _ = single.await;
        }
        assert!(lookups.lock().is_empty());
    }
}
