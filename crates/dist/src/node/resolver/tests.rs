use std::fs;

use pgmesh_testkit::{ScratchDns, eventually};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);
static GATE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const HOST: &str = "10.0.0.1";

/// A resolver with files and a server of its own.
struct Scratch {
    dns: ScratchDns,
    folder: TempDir,
    resolver: Arc<Resolver>,
}

impl Scratch {
    async fn start(system: fn(&str) -> io::Result<Vec<IpAddr>>) -> Self {
        let dns = ScratchDns::start().await;
        dns.add("known.test", &[ip("fd00::1"), ip(HOST)]);
        let folder = tempfile::tempdir().unwrap();
        let scratch = Self {
            resolver: Arc::new(Resolver::new(Sources {
                hosts: folder.path().join("hosts"),
                resolv_conf: folder.path().join("resolv.conf"),
                dns_port: dns.port(),
                system,
            })),
            dns,
            folder,
        };
        scratch.write("resolv.conf", "nameserver 127.0.0.1\n");
        scratch
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    async fn find(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.resolver.addresses(host, LIMIT).await
    }

    /// Looks hosts up that DNS is silent about, and returns when it was asked for all.
    async fn flood(&self, count: usize) -> Vec<JoinHandle<Result<Vec<IpAddr>, LookupError>>> {
        let flood = (0..count).map(|number| {
            let resolver = self.resolver.clone();
            let host = format!("host{number}.silent.test");
            tokio::spawn(async move { resolver.addresses(&host, LIMIT).await })
        });
        let flood = flood.collect();
        let asked = || (self.dns.asked(".silent.test").len() == count).then_some(());
        eventually("DNS is asked for the whole flood", asked).await;
        flood
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn knows_nothing(host: &str) -> io::Result<Vec<IpAddr>> {
    Err(io::Error::other(format!("no {host}")))
}

fn must_not_be_asked(host: &str) -> io::Result<Vec<IpAddr>> {
    panic!("the system is asked about {host}");
}

fn knows_a_few(host: &str) -> io::Result<Vec<IpAddr>> {
    match host {
        "only.system" | "only.silent.test" => Ok(vec![ip("10.0.0.2")]),
        _ => knows_nothing(host),
    }
}

/// As the system where DNS is silent: until the gate is opened.
fn blocks(host: &str) -> io::Result<Vec<IpAddr>> {
    if host.ends_with(".silent.test") {
        drop(GATE.blocking_lock());
    }
    knows_a_few(host)
}

#[tokio::test]
async fn flood_that_dns_is_silent_about_delays_no_host_that_it_knows() {
    let _shut = GATE.lock().await;
    let scratch = Scratch::start(blocks).await;
    let flood = scratch.flood(300).await;
    assert_eq!(
        scratch.find("known.test").await.unwrap(),
        [ip(HOST), ip("fd00::1")]
    );
    // Nor one that DNS denies and the system knows, also when the threads for the
    // others are all taken.
    let unsure = &scratch.resolver.system.unsure;
    let taken = || (unsure.available_permits() == 0).then_some(());
    eventually("the system is asked about the flood", taken).await;
    assert_eq!(scratch.find("only.system").await.unwrap(), [ip("10.0.0.2")]);
    assert!(flood.iter().all(|lookup| !lookup.is_finished()));
    assert!(scratch.resolver.sockets.in_use().await < 30);
    flood.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn dropped_lookups_leave_nothing() {
    let scratch = Scratch::start(knows_nothing).await;
    let flood = scratch.flood(300).await;
    assert!(scratch.resolver.sockets.in_use().await > 0);
    flood.iter().for_each(JoinHandle::abort);
    for lookup in flood {
        assert!(lookup.await.unwrap_err().is_cancelled());
    }
    let resolver = &scratch.resolver;
    assert_eq!(resolver.sockets.in_use().await, 0);
    assert_eq!(resolver.queries.available_permits(), MAX_QUERIES);
    let free = || (resolver.system.unsure.available_permits() == MAX_UNSURE).then_some(());
    eventually("the threads are free", free).await;
}

#[tokio::test]
async fn hosts_file_comes_before_dns() {
    let scratch = Scratch::start(must_not_be_asked).await;
    scratch.write("hosts", "::7 listed\n10.0.0.7 listed known.test\n");
    let found = scratch.find("listed").await.unwrap();
    assert_eq!(found, [ip("10.0.0.7"), ip("::7")]);
    assert_eq!(scratch.find("known.test").await.unwrap(), [ip("10.0.0.7")]);
    assert_eq!(scratch.dns.asked(""), [""; 0]);
}

#[tokio::test]
async fn what_dns_denies_or_is_silent_about_may_be_known_to_the_system() {
    let scratch = Scratch::start(knows_a_few).await;
    for host in ["only.system", "only.silent.test"] {
        assert_eq!(scratch.find(host).await.unwrap(), [ip("10.0.0.2")]);
    }
    let unknown = LookupError::Unknown("no un.known".to_owned());
    assert_eq!(scratch.find("un.known").await, Err(unknown));
}

#[tokio::test]
async fn system_is_asked_when_no_server_is_named() {
    let scratch = Scratch::start(knows_a_few).await;
    scratch.write("resolv.conf", "search test\n");
    let found = scratch.find("only.system").await.unwrap();
    assert_eq!(found, [ip("10.0.0.2")]);
    assert_eq!(scratch.dns.asked(""), [""; 0]);
}

#[tokio::test]
async fn search_domains_are_tried_as_the_file_says() {
    let scratch = Scratch::start(must_not_be_asked).await;
    let rules = "nameserver 127.0.0.1\nsearch a.test b.test\noptions ndots:2\n";
    scratch.write("resolv.conf", rules);
    scratch.dns.add("pod.svc.b.test", &[ip("10.0.0.3")]);
    assert_eq!(scratch.find("pod.svc").await.unwrap(), [ip("10.0.0.3")]);
    // Below `ndots` the bare name is the last.
    assert_eq!(scratch.dns.asked("pod.svc"), [""; 0]);
    assert_eq!(scratch.find("known.test.").await.unwrap()[0], ip(HOST));
    assert_eq!(scratch.dns.asked("known.test.b.test"), [""; 0]);
}

#[tokio::test]
async fn changed_files_are_read_again() {
    let scratch = Scratch::start(knows_nothing).await;
    assert!(scratch.find("short").await.is_err());
    scratch.write("resolv.conf", "nameserver 127.0.0.1\nsearch new.test\n");
    scratch.dns.add("short.new.test", &[ip(HOST)]);
    assert_eq!(scratch.find("short").await.unwrap(), [ip(HOST)]);
    scratch.write("hosts", "10.0.0.8 short\n");
    assert_eq!(scratch.find("short").await.unwrap(), [ip("10.0.0.8")]);
}

#[tokio::test]
async fn dead_or_silent_first_server_hides_nothing() {
    let scratch = Scratch::start(must_not_be_asked).await;
    let rules = "nameserver 127.0.0.2\nnameserver 127.0.0.1\n";
    scratch.write("resolv.conf", rules);
    assert_eq!(scratch.find("known.test").await.unwrap()[0], ip(HOST));
    // The same port of another address.
    let silent = tokio::net::UdpSocket::bind(("127.0.0.2", scratch.dns.port())).await;
    assert_eq!(scratch.find("known.test").await.unwrap()[0], ip(HOST));
    drop(silent);
}

#[tokio::test]
async fn host_found_before_is_where_it_was_while_dns_is_silent() {
    let scratch = Scratch::start(knows_nothing).await;
    scratch.resolver.remember("a.silent.test", &[ip(HOST)]);
    let limit = Duration::from_millis(50);
    let found = scratch.resolver.addresses("a.silent.test", limit).await;
    assert_eq!(found, Ok(vec![ip(HOST)]));
    // Until DNS denies it.
    scratch.resolver.remember("un.known", &[ip(HOST)]);
    assert!(scratch.find("un.known").await.is_err());
    assert!(!lock(&scratch.resolver.known).contains_key("un.known"));
}

#[tokio::test]
async fn silence_ends_with_the_limit() {
    let scratch = Scratch::start(knows_nothing).await;
    let resolver = &scratch.resolver;
    let limit = Duration::from_millis(50);
    let outcome = resolver.addresses("a.silent.test", limit).await;
    assert_eq!(outcome, Err(LookupError::Timeout));
}

#[tokio::test]
async fn system_knows_localhost() {
    let found = Resolver::default().addresses("localhost", LIMIT).await;
    let found = found.unwrap();
    assert!(found[0].is_loopback() && found[0].is_ipv4(), "{found:?}");
    assert!(ask_system("localhost").unwrap().contains(&found[0]));
}

#[test]
fn memory_of_hosts_is_bounded() {
    let resolver = Resolver::default();
    for number in 0..2 * MAX_KNOWN {
        resolver.remember(&format!("host{number}"), &[]);
    }
    assert_eq!(lock(&resolver.known).len(), MAX_KNOWN);
}
