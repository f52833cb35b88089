use super::*;

#[test]
fn a_bad_rule_says_which_and_why() {
    let cases = [
        ("name = ''", "a name has 1 to 128 bytes"),
        (
            "name = 'a'\n[[rule]]\nname = 'a'",
            "another rule of this name",
        ),
        (
            "name = 'a'\nsql = 'TRUE'\npattern = '{\"type\": [\"a\"]}'",
            "only one of",
        ),
        (
            "name = 'a'\nsinks = ['clod']",
            "no uplink \"clod\"; there are: cloud, site, lab",
        ),
        (
            "name = 'a'\nlane = 'fast'",
            "no lane \"fast\"; there are: alarm, normal, bulk",
        ),
        ("name = 'a'\nstep = [{}]", "names 0"),
        (
            "name = 'a'\nstep = [{ sample = { every = 2 }, throttle = { per = '1s' } }]",
            "names 2",
        ),
        (
            "name = 'a'\nstep = [{ threshold = { field = '$.data.t' } }]",
            "one of `above` and `below`",
        ),
        (
            "name = 'a'\nstep = [{ deadband = { field = '$.data.t', absolute = 1, percent = 1 } }]",
            "not both",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1s', gap = '1s', values = { n = 'count()' } } }]",
            "one of `size`",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1h', every = '1s', values = { n = 'count()' } } }]",
            "a hundredth",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1h', max-ahead = '24h 1s', values = { n = 'count()' } } }]",
            "at most a day",
        ),
        (
            "name = 'a'\nstep = [{ debounce = { quiet = '1s' }, key = ['$.source'] }]",
            "needs `topic` in `key`",
        ),
        (
            "name = 'a'\nstep = [{ debounce = { quiet = '1s', emit-topic = '$SYS/a' } }]",
            "does not begin with `$`",
        ),
        (
            "name = 'pump #3'\nstep = [{ debounce = { quiet = '1s' } }]",
            "name it without `+` and `#`",
        ),
        (
            "name = 'a+b'\nstep = [{ absence = { after = '1s', emit-topic = 'health/{rule}' } }]",
            "name it without `+` and `#`",
        ),
        (
            "name = '$a'\nstep = [{ window = { size = '1s', values = { n = 'count()' }, emit-topic = 'a', late-to = '{rule}' } }]",
            "name it without `+` and `#`",
        ),
        (
            "name = 'a'\nfor = ['lab']\nstep = [{ sample = { every = 2 } }]",
            "transforms only",
        ),
        ("name = 'a'\nfor = ['clod']", "no uplink"),
        ("name = 'a'\nsink-topic = 'a/#'", "#"),
        (
            "name = 'a'\nstep = [{ enrich = { table = 'line', key = '$.id' } }]",
            "line",
        ),
        (
            "name = 'a'\nstep = [{ set = { attributes = { id = 'x' } } }]",
            "id",
        ),
    ];
    for (rule, expected) in cases {
        let error = compile(&format!("[[rule]]\n{rule}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let unread = [
        ("nam = 'a'", "unknown field `nam`"),
        (
            "name = 'a'\npattern = '{\"type\": [{\"prefx\": 1}]}'",
            "did you mean `prefix`",
        ),
        ("name = 'a'\nsql = 'type ='", "1"),
        (
            "name = 'a'\nstep = [{ deadband = { field = '$.data..t' } }]",
            "is no path to one value",
        ),
        (
            "name = 'a'\nstep = [{ window = { size = '1s', values = { n = 'mean($.data.t)' } } }]",
            "is no aggregate",
        ),
        (
            "name = 'a'\nstep = [{ throttle = { per = '10' } }]",
            "is no duration",
        ),
    ];
    for (rule, expected) in unread {
        let error = toml::from_str::<RuleFile>(&format!("[[rule]]\n{rule}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
