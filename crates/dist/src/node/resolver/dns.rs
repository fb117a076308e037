//! Questions to DNS, asked without a thread.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::sockets::Sockets;

/// As many as the system's resolver takes.
const MAX_SERVERS: usize = 3;
/// How long one server is waited for before the next is asked, too.
const NEXT_SERVER: Duration = Duration::from_millis(300);
/// How long one family of addresses is waited for when the other is there: some
/// servers never answer questions for AAAA.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// The servers and rules of one `resolv.conf`.
pub(super) struct Dns {
    /// One for each server: hickory would ask whichever was the fastest, but the first
    /// may be the one that knows the hosts within.
    servers: Vec<Server>,
    search: Vec<Name>,
    ndots: usize,
}

type Server = Resolver<Sockets>;

/// What DNS says about a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These are its addresses; there is at least one.
    Found(Vec<IpAddr>),
    /// There is no such host, or it has no address.
    Denied,
    /// Silence, or that the servers cannot tell either.
    Unsure(String),
}

impl Dns {
    /// Takes what `resolv.conf` says; `port` is where servers listen.
    ///
    /// # Errors
    ///
    /// When it names no server, or makes no sense.
    pub(super) fn new(resolv_conf: &[u8], port: u16, sockets: &Sockets) -> io::Result<Self> {
        // Options that it does not know are no reason to do without the rest.
        let (rules, _) = resolv_conf::Config::parse_with_errors(resolv_conf);
        let servers = rules.nameservers.iter().take(MAX_SERVERS);
        let servers = servers.map(|ip| server(ip.into(), port, options(&rules), sockets.clone()));
        let servers = servers.collect::<Result<Vec<_>, _>>();
        let servers = servers.map_err(io::Error::other)?;
        if servers.is_empty() {
            return Err(io::Error::other("no nameserver is named"));
        }
        Ok(Self {
            servers,
            search: search(&rules),
            ndots: usize::try_from(rules.ndots).unwrap_or(1),
        })
    }

    /// The addresses of a host; cancel safe, and whoever drops it asks no more.
    pub(super) async fn ask(&self, host: &str) -> Answer {
        let mut answer = Answer::Denied;
        for name in self.names(host) {
            match self.both_families(&name).await {
                Answer::Found(found) => return Answer::Found(found),
                Answer::Denied => {}
                // The next may be known; but nobody has denied the host now.
                unsure @ Answer::Unsure(_) => answer = unsure,
            }
        }
        answer
    }

    /// The names to ask for, in the order of the system's resolver.
    fn names(&self, host: &str) -> Vec<Name> {
        let Ok(mut plain) = Name::from_str_relaxed(host) else {
            return Vec::new();
        };
        if plain.is_fqdn() {
            return vec![plain];
        }
        let searched = self.search.iter();
        let searched = searched.filter_map(|domain| plain.clone().append_domain(domain).ok());
        let mut names: Vec<_> = searched.collect();
        plain.set_fqdn(true);
        let dots = host.bytes().filter(|byte| *byte == b'.').count();
        let place = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(place, plain);
        names
    }

    async fn both_families(&self, name: &Name) -> Answer {
        let mut v4 = pin!(one_family(&self.servers, name, RecordType::A));
        let mut v6 = pin!(one_family(&self.servers, name, RecordType::AAAA));
        tokio::select! {
            first = &mut v4 => first.and(v6).await,
            first = &mut v6 => first.and(v4).await,
        }
    }
}

/// Asks the servers in their order; the next as soon as one cannot tell, or is slow.
fn one_family<'a>(
    servers: &'a [Server],
    name: &'a Name,
    family: RecordType,
) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
    Box::pin(async move {
        let Some((first, others)) = servers.split_first() else {
            return Answer::Unsure("no server of DNS answers".to_owned());
        };
        let mut asked = pin!(one_server(first, name, family));
        let next = one_family(others, name, family);
        match timeout(NEXT_SERVER, &mut asked).await {
            Ok(Answer::Unsure(_)) if !others.is_empty() => next.await,
            Ok(answer) => answer,
            Err(_) => tokio::select! {
                sure @ (Answer::Found(_) | Answer::Denied) = asked => sure,
                sure @ (Answer::Found(_) | Answer::Denied) = next => sure,
                else => Answer::Unsure("DNS is silent about it".to_owned()),
            },
        }
    })
}

async fn one_server(server: &Server, name: &Name, family: RecordType) -> Answer {
    match server.lookup(name.clone(), family).await {
        Ok(lookup) => {
            let records = lookup.answers().iter();
            let found: Vec<_> = records.filter_map(|record| record.data.ip_addr()).collect();
            match found.is_empty() {
                true => Answer::Denied,
                false => Answer::Found(found),
            }
        }
        Err(error) if error.is_no_records_found() => Answer::Denied,
        Err(error) => Answer::Unsure(error.to_string()),
    }
}

impl Answer {
    /// What both families say together.
    async fn and(self, other: impl Future<Output = Self>) -> Self {
        let Self::Found(mut found) = self else {
            return match (self, other.await) {
                (unsure @ Self::Unsure(_), Self::Denied) => unsure,
                (_, other) => other,
            };
        };
        if let Ok(Self::Found(others)) = timeout(OTHER_FAMILY, other).await {
            found.extend(others);
        }
        Self::Found(found)
    }
}

fn server(
    ip: IpAddr,
    port: u16,
    options: ResolverOpts,
    sockets: Sockets,
) -> Result<Server, NetError> {
    let mut server = NameServerConfig::udp_and_tcp(ip);
    for connection in &mut server.connections {
        connection.port = port;
    }
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, sockets);
    *builder.options_mut() = options;
    builder.build()
}

fn options(rules: &resolv_conf::Config) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(u64::from(rules.timeout.max(1)));
    options.attempts = usize::try_from(rules.attempts).unwrap_or(2);
    options.edns0 = rules.edns0;
    // A node that starts must not be unknown because somebody asked too early; and
    // what we have found, the resolver remembers.
    options.cache_size = 0;
    options
}

fn search(rules: &resolv_conf::Config) -> Vec<Name> {
    let mut domains: Vec<_> = rules.get_last_search_or_domain().cloned().collect();
    if domains.is_empty() {
        domains.extend(rules.get_system_domain());
    }
    let names = domains
        .iter()
        .filter_map(|domain| Name::from_str_relaxed(domain).ok());
    // A search domain of "." means the name as it is.
    let names = names.map(|mut name| {
        name.set_fqdn(true);
        name
    });
    names.filter(|name| !name.is_root()).collect()
}
