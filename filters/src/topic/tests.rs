use super::*;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn wildcards_are_accepted_only_as_whole_levels() {
    for good in [
        "a", "/", "a/b", "+", "#", "+/+", "a/+/#", "/+", "+/", "$SYS/#", "a//b", "ä/ö",
    ] {
        assert_eq!(
            TopicFilter::parse(good).map(|it| it.to_string()),
            Ok(good.to_owned())
        );
    }
    for (bad, why) in [
        ("", TopicError::Empty),
        ("a\0", TopicError::Null),
        ("a+", TopicError::PlusInLevel),
        ("a/+b", TopicError::PlusInLevel),
        ("++", TopicError::PlusInLevel),
        ("a#", TopicError::HashNotLast),
        ("#/a", TopicError::HashNotLast),
        ("a/#/", TopicError::HashNotLast),
        ("##", TopicError::HashNotLast),
    ] {
        assert_eq!(TopicFilter::parse(bad), Err(why), "{bad}");
    }
}

#[test]
fn lengths_are_bounded_to_the_byte_and_to_the_level() {
    assert_eq!(
        TopicFilter::parse(&"a".repeat(65_535)).map(|it| it.as_str().len()),
        Ok(65_535)
    );
    assert_eq!(
        TopicFilter::parse(&"a".repeat(65_536)),
        Err(TopicError::TooLong)
    );
    assert_eq!(
        TopicFilter::parse(&"/".repeat(199)).map(|it| it.levels().count()),
        Ok(200)
    );
    assert_eq!(
        TopicFilter::parse(&"/".repeat(200)),
        Err(TopicError::TooManyLevels)
    );
}

#[test]
fn filters_match_as_the_examples_of_mqtt_say() {
    for (text, topic, expected) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        (
            "sport/tennis/player1/#",
            "sport/tennis/player1/ranking",
            true,
        ),
        (
            "sport/tennis/player1/#",
            "sport/tennis/player1/score/wimbledon",
            true,
        ),
        ("sport/#", "sport", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS/monitor", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/monitor", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("ACCOUNTS", "Accounts", false),
    ] {
        assert_eq!(filter(text).matches(topic), expected, "{text} {topic}");
    }
}

#[test]
fn shared_subscriptions_name_a_group_and_a_filter() {
    let shared = |group: &str, text: &str| {
        Ok(Subscription {
            group: Some(group.into()),
            filter: filter(text),
        })
    };
    assert_eq!(Subscription::parse("$share/g/a/+"), shared("g", "a/+"));
    assert_eq!(Subscription::parse("$share/g//"), shared("g", "/"));
    assert_eq!(
        Subscription::parse("$shared/g/a"),
        Ok(Subscription {
            group: None,
            filter: filter("$shared/g/a")
        })
    );
    for bad in [
        "$share",
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/+/a",
        "$share/g#/a",
    ] {
        assert_eq!(Subscription::parse(bad), Err(TopicError::Share), "{bad}");
    }
    assert_eq!(
        Subscription::parse("$share/g/a+"),
        Err(TopicError::PlusInLevel)
    );
}

#[test]
fn names_to_publish_on_have_no_wildcard() {
    assert_eq!(check_topic_name("a/b"), Ok(()));
    assert_eq!(check_topic_name("a/+"), Err(TopicError::WildcardInName));
    assert_eq!(check_topic_name("#"), Err(TopicError::WildcardInName));
    assert_eq!(check_topic_name(""), Err(TopicError::Empty));
}

#[test]
fn the_trie_finds_what_the_plain_comparison_finds() {
    let mut random = Random(0x5EED);
    for round in 0..50 {
        let mut trie = TopicTrie::new();
        let mut list: Vec<(TopicFilter, u32)> = Vec::new();
        for _ in 0..200 {
            if list.is_empty() || random.below(4) > 0 {
                let (filter, key) = (random.filter(), random.below(3));
                let known = list.iter().any(|it| *it == (filter.clone(), key));
                assert_eq!(trie.insert(&filter, key, filter.clone()).is_some(), known);
                if !known {
                    list.push((filter, key));
                }
            } else {
                let (filter, key) = list.swap_remove(random.below(list.len() as u32) as usize);
                assert_eq!(trie.remove(&filter, &key), Some(filter.clone()));
                assert_eq!(trie.remove(&filter, &key), None);
            }
            let topic = random.topic();
            let mut found = Vec::new();
            trie.matches(&topic, |key, filter| found.push((filter.clone(), *key)));
            found.sort();
            let mut expected: Vec<_> = list
                .iter()
                .filter(|it| it.0.matches(&topic))
                .cloned()
                .collect();
            expected.sort();
            assert_eq!(found, expected, "round {round}, topic {topic}");
            assert_eq!(trie.len(), list.len());
        }
        for (filter, key) in list {
            assert_eq!(trie.find(&filter, &key), Some(&filter));
            trie.remove(&filter, &key);
        }
        assert_eq!(
            (trie.len(), trie.node_count()),
            (0, 1),
            "an emptied trie keeps its root alone"
        );
    }
}

#[test]
fn matches_come_in_the_same_order_whatever_the_order_of_insertion() {
    let filters = ["#", "a/#", "a/+", "+/b", "a/b", "+/#", "a/b/#", "+/+"];
    let found = |order: &mut dyn Iterator<Item = &&'static str>| {
        let mut trie = TopicTrie::new();
        for text in order {
            trie.insert(&filter(text), 2, *text);
            trie.insert(&filter(text), 1, *text);
        }
        let mut found = Vec::new();
        trie.matches("a/b", |key, text| found.push((*text, *key)));
        found
    };
    let expected: Vec<_> = ["#", "a/#", "a/b/#", "a/b", "a/+", "+/#", "+/b", "+/+"]
        .into_iter()
        .flat_map(|text| [(text, 1), (text, 2)])
        .collect();
    assert_eq!(found(&mut filters.iter()), expected);
    assert_eq!(found(&mut filters.iter().rev()), expected);
}

#[test]
fn finding_costs_the_same_among_ten_thousand_filters_as_alone() {
    let mut trie = TopicTrie::new();
    for text in ["plant/+/pump-7/temp", "plant/#", "+/line-1/+/temp"] {
        trie.insert(&filter(text), 0, ());
    }
    let topic = "plant/line-1/pump-7/temp";
    let alone = trie.walked_count(topic);
    assert_eq!(alone, 9);
    for at in 0..10_000 {
        trie.insert(&filter(&format!("plant/+/pump-7{at}/temp")), at, ());
        trie.insert(&filter(&format!("site-{at}/line-1/#")), at, ());
        trie.insert(&filter(&format!("plant/+/pump-7/temp/{at}")), at, ());
    }
    assert_eq!(trie.walked_count(topic), alone);
}

#[test]
fn topics_of_any_depth_are_matched_without_recursion() {
    let mut trie = TopicTrie::new();
    let deep = filter(&format!("{}#", "+/".repeat(MAX_FILTER_LEVELS - 1)));
    trie.insert(&deep, (), "deep");
    let mut found = Vec::new();
    trie.matches(&"/".repeat(MAX_TOPIC_BYTES), |(), value| found.push(*value));
    assert_eq!(found, ["deep"]);
}

/// A small generator, so that each run sees the same filters and topics.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }

    fn level(&mut self) -> &'static str {
        ["a", "b", "c", "", "$d"][self.below(5) as usize]
    }

    fn topic(&mut self) -> String {
        let levels: Vec<_> = (0..=self.below(4)).map(|_| self.level()).collect();
        let topic = levels.join("/");
        if topic.is_empty() {
            "a".to_owned()
        } else {
            topic
        }
    }

    fn filter(&mut self) -> TopicFilter {
        let mut levels: Vec<_> = (0..self.below(6))
            .map(|_| {
                if self.below(3) == 0 {
                    "+"
                } else {
                    self.level()
                }
            })
            .collect();
        if levels.is_empty() || self.below(3) == 0 {
            levels.push("#");
        }
        TopicFilter::parse(&levels.join("/")).unwrap_or_else(|_| filter("+"))
    }
}
