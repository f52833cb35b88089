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
        gap-topic = "edge/gaps"
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
         rules, devices, ingest, uplink"
    );
    assert_eq!(
        fault("[node]\ncolour = 1\n"),
        "node.toml:2:1: unknown key `colour`; accepted here: id, data, gap-topic"
    );
}

#[test]
fn an_unknown_key_is_refused_in_every_section() {
    for (section, wrong, nearest) in [
        ("[node]", "dta", "data"),
        ("[mqtt]", "max-keepalive", "max-keep-alive"),
        ("[http]", "max-bdy", "max-body"),
        ("[grpc]", "max-mesage", "max-message"),
        ("[spool]", "min_free", "min-free"),
        ("[[spool.lanes]]", "when_full", "when-full"),
        ("[rules]", "file", "files"),
        ("[devices]", "prefx", "prefix"),
        ("[[ingest]]", "topc", "topic"),
        ("[[uplink]]", "endpoint", "endpoints"),
        ("[uplink.sender]", "evn", "env"),
    ] {
        let array = if section == "[uplink.sender]" {
            "[[uplink]]"
        } else {
            ""
        };
        let said = fault(&format!("{array}\n{section}\n{wrong} = 1\n"));
        let expected = format!(
            "node.toml:3:1: unknown key `{wrong}`, did you mean `{nearest}`?; accepted here: "
        );
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn devices_are_served_where_the_section_is_there() {
    assert_eq!(parse("").devices, None);
    assert_eq!(parse("[devices]\n").devices, Some(DevicesConfig::default()));
    let devices = parse("[devices]\nprefix = \"plant/7\"\n").devices;
    assert_eq!(devices.unwrap().prefix, "plant/7");
    let devices =
        parse("[devices]\ndata = \"postcard\"\nlanes = { 0 = \"alarm\", 7 = \"bulk\" }\n").devices;
    let devices = devices.unwrap();
    assert_eq!(devices.data, DeviceDataForm::Postcard);
    let lanes = devices.lanes.iter().map(|(it, lane)| (it.0, lane.as_str()));
    assert_eq!(lanes.collect::<Vec<_>>(), [(0, "alarm"), (7, "bulk")]);
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_what_is_accepted() {
    for (text, says) in [
        (
            "[devices]\nprefix = \"a/#\"\n",
            "node.toml:2:10: `a/#` cannot stand in front of a topic; accepted: levels such as \"plant/7\", without `+`, `#`, a `$` or `/` \
             in front or a `/` behind, at most 64 bytes",
        ),
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
            "[node]\ngap-topic = \"edge/#\"\n",
            "node.toml:2:13: `edge/#` is no topic to publish on: a topic to publish on has no wildcard (`+`, `#`); accepted: a topic such as \"edge/gaps\"",
        ),
        (
            "[node]\ngap-topic = \"$edge/gaps\"\n",
            "node.toml:2:13: `$edge/gaps` is no topic to publish on: no uplink takes what begins with `$` by default; accepted: a topic such as \"edge/gaps\"",
        ),
        (
            "[node]\ngap-topic = \"p/d/pump\"\n[devices]\nprefix = \"p\"\n",
            "node.toml:2:13: `p/d/pump` belongs to a device of [devices]; choose another `gap-topic`",
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
            "[[uplink]]\nname = \"mesh\"\nkind = \"kafka\"\nendpoints = [\"http://h\"]\n",
            "node.toml:3:8: unknown value `kafka`; accepted here: http, eventmesh-http, eventmesh-grpc",
        ),
        (
            "[[uplink]]\nkind = \"http\"\nendpoints = [\"http://h\"]\n",
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
            "[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = [\"http://h\"]\nlanes=[\"bulk\",\"alrm\"]\n",
            "node.toml:5:15: there is no lane `alrm`, did you mean `alarm`?; [spool] has: alarm, normal, bulk",
        ),
        (
            "[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = [\"http://h\"]\n[[uplink]]\nname = \"mesh\"\nkind = \"http\"\nendpoints = [\"http://h\"]\n",
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

#[test]
fn every_sample_file_is_a_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut loaded = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let config = Config::load(Some(&file), &Overrides::default()).unwrap();
            assert_eq!(parse(&config.to_toml()), config, "{}", file.display());
            loaded.push(file.file_name().unwrap().to_owned());
        }
    }
    loaded.sort();
    assert_eq!(
        loaded,
        ["defaults.toml", "gateway.toml", "hub.toml", "minimal.toml"]
    );
}

#[test]
fn the_sample_of_the_defaults_says_all_of_them() {
    let sample = include_str!("../../../examples/defaults.toml");
    let said: Vec<_> = sample
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let shown = Config::default().to_toml();
    let shown: Vec<_> = shown.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(said, shown);
}

#[test]
fn an_uplink_gives_each_part_its_piece() {
    let config = Config::load(
        Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway.toml")),
        &Overrides::default(),
    )
    .unwrap();
    let [mesh, lake] = &config.uplink[..] else {
        panic!("{:?}", config.uplink)
    };
    let UplinkReceiver::Grpc(grpc) = mesh.receiver() else {
        panic!("{mesh:?}")
    };
    assert_eq!(
        grpc.endpoints,
        ["http://10.20.0.5:10205", "http://10.20.0.6:10205"]
    );
    assert_eq!(grpc.topic.of("plant/7"), "edge_plant-7");
    assert_eq!(
        (grpc.sender.env.as_str(), grpc.sender.sys.as_str()),
        ("prod", "edge-node")
    );
    assert_eq!(
        (mesh.limits().batch_events, mesh.limits().in_flight),
        (1, 256)
    );

    let UplinkReceiver::Http(http) = lake.receiver() else {
        panic!("{lake:?}")
    };
    assert_eq!(http.endpoints, ["https://lake.example/ingest/{topic}"]);
    assert_eq!(http.headers["x-tenant"], "plant-7");
    assert_eq!(
        http.token_file.as_deref(),
        Some(Path::new("/etc/edge-node/lake.token"))
    );
    let limits = lake.limits();
    assert_eq!(
        (limits.batch_events, limits.batch_bytes, limits.in_flight),
        (512, 1 << 20, 4)
    );
    assert_eq!(lake.dead_letters_max().bytes, 4 << 20);
    cloud_uplink::http::HttpSink::new(http).unwrap();
}

#[test]
fn where_a_request_is_a_single_event_no_answer_waits_for_another() {
    for (rest, expected) in [
        ("kind = \"http\"\nmode = \"batch\"", (512, 4)),
        ("kind = \"http\"\nmode = \"structured\"", (1, 64)),
        ("kind = \"http\"\nmode = \"binary\"\nin-flight = 9", (1, 9)),
        ("kind = \"eventmesh-http\"\nmode = \"structured\"", (1, 64)),
    ] {
        let text = format!("[[uplink]]\nname = \"a\"\nendpoints = [\"http://h\"]\n{rest}\n");
        let limits = parse(&text).uplink[0].limits();
        assert_eq!((limits.batch_events, limits.in_flight), expected, "{text}");
    }
}

#[test]
fn keys_that_do_not_go_with_the_kind_of_an_uplink_are_refused() {
    for (kind, rest, says) in [
        (
            "eventmesh-grpc",
            "endpoints = [\"http://h:1\"]\nca = \"x\"",
            "node.toml:5:6: `ca` does not go with kind \"eventmesh-grpc\"; remove it",
        ),
        (
            "eventmesh-grpc",
            "endpoints = [\"https://h:1\"]",
            "node.toml:4:14: `https://h:1` is not of the form http://host:port, which kind \"eventmesh-grpc\" needs",
        ),
        (
            "eventmesh-grpc",
            "endpoints = [\"http://h:1\", \"http://h:1/x\"]",
            "node.toml:4:28: `http://h:1/x` is not of the form http://host:port, which kind \"eventmesh-grpc\" needs",
        ),
        (
            "eventmesh-http",
            "endpoints = [\"http://h:1\"]\nmode = \"binary\"",
            "node.toml:5:8: EventMesh takes no mode \"binary\"; accepted here: batch, structured",
        ),
        (
            "eventmesh-http",
            "endpoints = [\"http://h:1/{topic}\"]",
            "node.toml:4:14: `http://h:1/{topic}` cannot have a path put behind it; for kind \"eventmesh-http\" leave out query and `{topic}`",
        ),
        (
            "eventmesh-http",
            "endpoints = [\"http://h:1\"]\nsender = { env = \"x\" }",
            "node.toml:5:10: `sender` goes with kind \"eventmesh-grpc\" only; remove it",
        ),
        (
            "http",
            "endpoints = [\"http://h:1\"]\ntopic = \"x\"",
            "node.toml:5:9: `topic` goes with the kinds \"eventmesh-http\" and \"eventmesh-grpc\" only; for \"http\" write `{topic}` into the endpoint",
        ),
        (
            "http",
            "endpoints = []",
            "node.toml:4:13: 0 endpoints; accepted: 1 to 16",
        ),
        (
            "http",
            "endpoints = [\"h:1\"]",
            "node.toml:4:14: `h:1` is no endpoint: it does not begin with http:// or https://; accepted: http://host:port/path or https://host:port/path",
        ),
        (
            "http",
            "endpoints = [\"ftp://h:1\"]",
            "node.toml:4:14: `ftp://h:1` is no endpoint: it does not begin with http:// or https://; accepted: http://host:port/path or https://host:port/path",
        ),
        (
            "http",
            "endpoints = [\"http://user:word@h\"]",
            "node.toml:4:14: `http://user:word@h` is no endpoint: a user or password in it would be shown; use `headers` or `token-file`; accepted: http://host:port/path or https://host:port/path",
        ),
        (
            "http",
            "endpoints = [\"http://h\"]\nheaders = { \"a b\" = \"c\" }",
            "node.toml:5:11: `a b` is no name of a header",
        ),
        (
            "http",
            "endpoints = [\"http://h\"]\nheaders = { a = \"\\n\" }",
            "node.toml:5:11: the header `a` has a value that no header may have",
        ),
        (
            "http",
            "endpoints = [\"http://h\"]\nmode = \"binary\"\nbatch-size = \"1 MiB\"",
            "node.toml:6:14: `batch-size` goes with mode \"batch\" only; remove it",
        ),
        (
            "eventmesh-http",
            "endpoints = [\"http://h\"]\nmode = \"structured\"\nbatch-events = 3",
            "node.toml:6:16: `batch-events` goes with mode \"batch\" only; remove it",
        ),
        (
            "http",
            "endpoints = [\"http://h\"]\nin-flight = 0",
            "node.toml:5:13: `0` is out of range; accepted: 1 to 1024",
        ),
    ] {
        let text = format!("[[uplink]]\nname = \"a\"\nkind = \"{kind}\"\n{rest}\n");
        assert_eq!(fault(&text), says, "{text}");
    }
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
