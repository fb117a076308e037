use super::*;

fn parse_in(text: &str, variables: &[(&str, &str)]) -> Result<Conninfo, ConninfoErrors> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::new(variables, Some("/home/me".into()), Some("me".to_owned()));
    Conninfo::parse(text, &environment)
}

fn parse(text: &str) -> Conninfo {
    parse_in(text, &[]).unwrap()
}

fn servers(conninfo: &Conninfo) -> Vec<String> {
    conninfo.servers.iter().map(ToString::to_string).collect()
}

fn error(text: &str) -> String {
    parse_in(text, &[]).unwrap_err().to_string()
}

#[test]
fn urls_that_people_have() {
    let rds = parse(
        "postgres://app:p%40ss@db.eu-1.rds.amazonaws.com/app?sslmode=verify-full&sslrootcert=/etc/rds.pem",
    );
    assert_eq!(servers(&rds), ["db.eu-1.rds.amazonaws.com:5432"]);
    assert_eq!(rds.password.unwrap().expose(), "p@ss");
    assert_eq!(rds.tls.mode, SslMode::VerifyFull);
    assert_eq!(rds.tls.root, RootCertificates::File("/etc/rds.pem".into()));

    let neon = parse(
        "postgresql://u:p@ep-x.neon.tech/d?sslmode=require&channel_binding=require&options=endpoint%3Dep-x",
    );
    assert_eq!(neon.channel_binding, ChannelBinding::Require);
    assert_eq!(neon.options.as_deref(), Some("endpoint=ep-x"));

    let ecto = parse("ecto://app:x@db/app_prod?ssl=true&pool_size=10");
    assert_eq!(
        (ecto.tls.mode, ecto.database.as_str()),
        (SslMode::Require, "app_prod")
    );
    assert_eq!(ecto.warnings().len(), 1);

    let pooled = parse("postgres://u:p@pooler:6543/postgres?pgbouncer=true&connection_limit=1");
    assert!(
        pooled
            .warnings()
            .iter()
            .any(|text| text.contains("pgbouncer=true"))
    );

    let failover = parse("postgres://a,[::1]:5433,c:5434/d?target_session_attrs=prefer-standby");
    assert_eq!(servers(&failover), ["a:5432", "[::1]:5433", "c:5434"]);
    assert_eq!(failover.target, TargetSession::PreferStandby);

    let system = parse("postgres://h/d?sslrootcert=system");
    assert_eq!(
        (system.tls.mode, system.tls.root),
        (SslMode::VerifyFull, RootCertificates::System)
    );

    let socket = parse("postgres://%2Frun%2Fpg:5433/d");
    assert_eq!(servers(&socket), ["/run/pg/.s.PGSQL.5433"]);
}

#[test]
fn what_is_left_out_comes_from_the_surroundings() {
    let conninfo = parse("");
    assert_eq!(
        (conninfo.user.as_str(), conninfo.database.as_str()),
        ("me", "me")
    );
    assert!(matches!(conninfo.servers[0].place, Place::Unix(_)));
    assert_eq!(conninfo.passfile, Some("/home/me/.pgpass".into()));
    let variables = [
        ("PGHOST", "db"),
        ("PGPORT", "6000"),
        ("PGUSER", "you"),
        ("PGPASSWORD", "x"),
        ("PGSSLMODE", "disable"),
        ("PGAPPNAME", ""),
    ];
    let conninfo = parse_in("postgres:///d?port=7000", &variables).unwrap();
    assert_eq!(servers(&conninfo), ["db:7000"]);
    assert_eq!(
        (conninfo.user.as_str(), conninfo.database.as_str()),
        ("you", "d")
    );
    assert_eq!(conninfo.tls.mode, SslMode::Disable);
    assert_eq!(conninfo.application_name, None);
}

#[test]
fn mistakes_are_told_all_at_once_with_a_remedy() {
    let told =
        error("postgres://h:99999/d?sslmod=x&keepalives=often&sslmode=full&gssencmode=require");
    for part in [
        "port has a value that it cannot have",
        "\"sslmod\" is unknown (did you mean sslmode?)",
        "keepalives has a value that it cannot have (write a number)",
        "sslmode has a value that it cannot have (write disable, allow,",
        "gssencmode is not supported",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let variable = parse_in("", &[("PGSSLMODE", "full")]).unwrap_err();
    assert!(
        variable.to_string().starts_with("PGSSLMODE has"),
        "{variable}"
    );
    assert!(error("host=a,b,c port=1,2").contains("ports"));
}

#[test]
fn no_password_in_any_message() {
    for text in [
        "postgres://u:hunter2/x@h/d",
        "postgres://u:12/hunter2?hunter2=@h",
        "postgres://u:12/x?hunter2=1@h",
        "postgres://u:hunter2%zz@h/d",
        "postgres://u:hunter2@h:port/d",
        "mysql://u:hunter2@h/d",
        "password=hunter2 port=x",
        "password='hunter2",
        "hunter2",
        "postgres://u:x@hunter2@h",
        "host=h;password=hunter2",
        "postgres:///d?password=hunter2&sslmode=hunter2",
    ] {
        let told = match parse_in(text, &[("PGPASSWORD", "hunter2")]) {
            Ok(conninfo) => format!("{conninfo:?}"),
            Err(errors) => format!("{errors} {errors:?}"),
        };
        let shown = told.replace("dbname: \"hunter2\"", "");
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
}
