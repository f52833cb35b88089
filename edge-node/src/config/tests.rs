use super::*;

#[test]
fn an_empty_file_is_a_node_with_the_defaults() {
    assert_eq!(parse(""), Config::default());
    let config = parse("");
    assert_eq!(config.mqtt.listen.to_string(), "127.0.0.1:1883");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.grpc.listen.to_string(), "127.0.0.1:10205");
    assert_eq!(config.node.data, Path::new("./edge-data"));
    assert_eq!(config.spool.default_lane(), ::spool::Lane(1));
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    let config = parse(
        r#"
        [node]
        id = "gate-7"
        [mqtt]
        max-session-expiry = "2d"
        [spool]
        bound = "256 MiB"
        lanes = [{ name = "high", when-full = "drop-oldest" }, { name = "low" }]
        default-lane = "low"
        [[ingest]]
        topic = "alarms/#"
        lane = "high"
        [[uplink]]
        name = "mesh"
        kind = "eventmesh-grpc"
        endpoints = ["http://10.0.0.1:10205"]
        lanes = ["high"]
        start = "now"
        "#,
    );
    assert_eq!(parse(&config.to_toml()), config, "{}", config.to_toml());
    assert_eq!(parse(&Config::default().to_toml()), Config::default());
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
    assert_eq!(
        fault("[node]\nid = \"a\"\n\n[http]\n  listne = \"127.0.0.1:80\"\n"),
        "node.toml:5:3: unknown key `listne`, did you mean `listen`?; accepted here: listen, allow-anonymous, \
         max-connections, max-body, head-timeout, body-timeout, topic"
    );
    assert_eq!(
        fault("[mqqt]\n"),
        "node.toml:1:2: unknown key `mqqt`, did you mean `mqtt`?; accepted here: node, mqtt, http, grpc, spool, \
         ingest, uplink"
    );
    assert_eq!(
        fault("[node]\ncolour = 1\n"),
        "node.toml:2:1: unknown key `colour`; accepted here: id, data"
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_what_is_accepted() {
    for (text, says) in [
        (
            "[mqtt]\nreceive-maximum = 0\n",
            "node.toml:2:19: `0` is out of range; accepted: 1 to 65535",
        ),
        (
            "[mqtt]\nreceive-maximum = 70000\n",
            "node.toml:2:19: `70000` is out of range; accepted: 1 to 65535",
        ),
        (
            "[mqtt]\nmax-packet-size = \"1\"\n",
            "node.toml:2:19: `1` is no size; accepted: a whole number and a unit, such as \"64 MiB\" (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)",
        ),
        (
            "[mqtt]\nmax-packet-size = 1048576\n",
            "node.toml:2:19: invalid type: integer `1048576`, expected a size such as \"64 MiB\"",
        ),
        (
            "[mqtt]\nmax-packet-size = \"1 GiB\"\n",
            "node.toml:2:19: `1 GiB` is out of range; accepted: 1 KiB to 256 MiB",
        ),
        (
            "[mqtt]\nmax-keep-alive = \"1s\"\n",
            "node.toml:2:18: `1s` is out of range; accepted: 5s to 18h 12m 15s",
        ),
        (
            "[mqtt]\nconnect-timeout = \"soon\"\n",
            "node.toml:2:19: `soon` is no duration; accepted: whole numbers with units, such as \"30s\" or \"1h 30m\" (ms, s, m, h, d)",
        ),
        (
            "[mqtt]\nlisten = \"localhost\"\n",
            "node.toml:2:10: `localhost` is no address; accepted: IP address and port, such as \"127.0.0.1:1883\"",
        ),
        (
            "[mqtt]\nlisten = 1883\n",
            "node.toml:2:10: invalid type: integer `1883`, expected an address such as \"127.0.0.1:1883\"",
        ),
        (
            "[mqtt]\nallow-anonymous = \"yes\"\n",
            "node.toml:2:19: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "[node]\nid = \"a b\"\n",
            "node.toml:2:6: `a b` cannot be a name; accepted: 1 to 64 of ASCII letters, digits, `-`, `_` and `.`",
        ),
        (
            "[spool]\nmin-free = \"95%\"\n",
            "node.toml:2:12: `95%` is no share; accepted: \"0%\" to \"90%\"",
        ),
        (
            "[spool]\nmin-free = 5\n",
            "node.toml:2:12: invalid type: integer `5`, expected a share such as \"5%\"",
        ),
        (
            "[spool]\nbound = \"1 MiB\"\n",
            "node.toml:2:9: `1 MiB` is out of range; accepted: \"auto\", or 16 MiB to 1024 TiB",
        ),
        (
            "[spool]\nlanes = []\n",
            "node.toml:2:9: 0 lanes; accepted: 1 to 8",
        ),
        (
            "[spool]\nlanes = [{ name = \"normal\", when-full = \"drop-odlest\" }]\n",
            "node.toml:2:41: unknown value `drop-odlest`, did you mean `drop-oldest`?; accepted here: refuse, reject, drop-oldest, lowest-lane-first",
        ),
        (
            "[spool]\nlanes = [{ when-full = \"reject\" }]\n",
            "node.toml:2:10: the key `name` is missing",
        ),
        (
            "[[uplink]]\nname = \"mesh\"\nkind = \"kafka\"\nendpoints = []\n",
            "node.toml:3:8: unknown value `kafka`; accepted here: http, eventmesh-http, eventmesh-grpc",
        ),
        (
            "[[uplink]]\nkind = \"http\"\nendpoints = []\n",
            "node.toml:1:1: the key `name` is missing",
        ),
        (
            "[[ingest]]\ntopic = \"a/#/b\"\n",
            "node.toml:2:9: `a/#/b` is no topic filter: `#` must stand alone in the last level, as in `a/#`",
        ),
        ("[mqtt\n", "node.toml:1:6: unclosed table, expected `]`"),
        (
            "[mqtt]\nlisten =\n",
            "node.toml:2:9: string values must be quoted, expected literal string",
        ),
        ("[mqtt]\n[mqtt]\n", "node.toml:2:2: duplicate key"),
        (
            "[mqtt]\nallow-anonymous = true\nallow-anonymous = true\n",
            "node.toml:3:1: duplicate key",
        ),
        (
            "[spool]\nwaiting-bytes = \"512 KiB\"\n",
            "node.toml:2:17: `waiting-bytes` of [spool] (512 KiB) must be larger than `max-packet-size` of [mqtt] (1 MiB), or such a packet could never be taken",
        ),
        (
            "[mqtt]\nmax-packet-size = \"8 MiB\"\n",
            "node.toml:2:19: `waiting-bytes` of [spool] (8 MiB) must be larger than `max-packet-size` of [mqtt] (8 MiB), or such a packet could never be taken",
        ),
    ] {
        assert_eq!(fault(text), says, "{text}");
    }
}

#[test]
fn names_must_exist_and_differ_and_listeners_must_not_be_reached_by_strangers() {
    for (text, says) in [
        (
            "[[ingest]]\ntopic = \"#\"\nlane = \"normla\"\n",
            "node.toml:3:8: there is no lane `normla`, did you mean `normal`?; [spool] has: alarm, normal, bulk",
        ),
        (
            "[spool]\nlanes = [{ name = \"a\" }]\n",
            "node.toml:2:9: there is no lane `normal` for the events that no [[ingest]] places; write `default-lane` in [spool] with one of: a",
        ),
        (
            "[spool]\ndefault-lane = \"x\"\n",
            "node.toml:2:16: there is no lane `x`; [spool] has: alarm, normal, bulk",
        ),
        (
            "[spool]\nlanes = [{ name = \"normal\" }, { name = \"normal\" }]\n",
            "node.toml:2:40: there are two lanes named `normal`; give each its own name",
        ),
        (
            "[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = []\nlanes=[\"bulk\",\"alrm\"]\n",
            "node.toml:5:15: there is no lane `alrm`, did you mean `alarm`?; [spool] has: alarm, normal, bulk",
        ),
        (
            "[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = []\n[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = []\n",
            "node.toml:6:8: there are two uplinks named `mesh`; give each its own name",
        ),
        (
            "[mqtt]\nlisten = \"0.0.0.0:1883\"\n",
            "node.toml:2:10: [mqtt] would listen on 0.0.0.0:1883, where others can reach it without saying who they are; listen on 127.0.0.1:1883, or write `allow-anonymous = true` in [mqtt] to accept that",
        ),
        (
            "[grpc]\nlisten = \"127.0.0.1:8080\"\n",
            "node.toml:2:10: [http] and [grpc] would both listen on 127.0.0.1:8080; give one another port (0 picks a free one)",
        ),
    ] {
        assert_eq!(fault(text), says, "{text}");
    }
}

#[test]
fn a_listener_off_the_loopback_is_opened_when_strangers_are_allowed() {
    let config = parse("[http]\nlisten = \"0.0.0.0:0\"\nallow-anonymous = true\n");
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:0");
    assert_eq!(
        parse("[mqtt]\nlisten = \"[::1]:1883\"\n")
            .mqtt
            .listen
            .to_string(),
        "[::1]:1883"
    );
}

#[test]
fn flags_win_over_the_file_and_are_named_where_they_are_wrong() {
    let flags = Overrides {
        data: Some("/tmp/elsewhere".into()),
        mqtt: Some("127.0.0.1:0".parse().unwrap()),
        ..Overrides::default()
    };
    let text = "[node]\ndata = \"here\"\n[mqtt]\nlisten = \"127.0.0.1:1\"\n[http]\nlisten = \"127.0.0.1:2\"\n";
    let config = Config::parse("node.toml", text, &flags).unwrap();
    assert_eq!(config.node.data, Path::new("/tmp/elsewhere"));
    assert_eq!(config.mqtt.listen.port(), 0);
    assert_eq!(config.http.listen.port(), 2);

    let flags = Overrides {
        grpc: Some("192.0.2.1:7".parse().unwrap()),
        ..Overrides::default()
    };
    assert_eq!(
        Config::parse("node.toml", text, &flags)
            .unwrap_err()
            .to_string(),
        "--grpc: [grpc] would listen on 192.0.2.1:7, where others can reach it without saying who they are; \
         listen on 127.0.0.1:7, or write `allow-anonymous = true` in [grpc] to accept that"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let missing = Config::load(
        Some(Path::new("no-such-folder/node.toml")),
        &Overrides::default(),
    );
    assert_eq!(
        missing.unwrap_err().to_string(),
        "cannot read the configuration no-such-folder/node.toml: No such file or directory (os error 2)"
    );
}

fn parse(text: &str) -> Config {
    Config::parse("node.toml", text, &Overrides::default()).unwrap()
}

/// The exact text an operator reads.
fn fault(text: &str) -> String {
    Config::parse("node.toml", text, &Overrides::default())
        .unwrap_err()
        .to_string()
}
