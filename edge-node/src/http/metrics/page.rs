use std::fmt::Write;

/// A page in Prometheus' text format, made line by line.
#[derive(Default)]
pub(super) struct Page(String);

/// One metric; its lines are put one after the other.
pub(super) struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "counter")
    }

    fn family(&mut self, name: &'static str, help: &str, kind: &str) -> Family<'_> {
        put(
            &mut self.0,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        Family {
            page: &mut self.0,
            name,
        }
    }
}

impl Family<'_> {
    pub(super) fn put(&mut self, labels: &[(&str, &str)], value: u64) {
        self.line(labels, format_args!("{value}"));
    }

    pub(super) fn millis(&mut self, labels: &[(&str, &str)], millis: u64) {
        self.line(
            labels,
            format_args!("{}.{:03}", millis / 1000, millis % 1000),
        );
    }

    pub(super) fn micros(&mut self, labels: &[(&str, &str)], micros: u64) {
        self.line(
            labels,
            format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000),
        );
    }

    pub(super) fn each<T>(&mut self, label: &str, items: &[T], of: impl Fn(&T) -> (&str, u64)) {
        for item in items {
            let (text, value) = of(item);
            self.put(&[(label, text)], value);
        }
    }

    pub(super) fn each_millis<T>(
        &mut self,
        label: &str,
        items: &[T],
        of: impl Fn(&T) -> (&str, u64),
    ) {
        for item in items {
            let (text, millis) = of(item);
            self.millis(&[(label, text)], millis);
        }
    }

    fn line(&mut self, labels: &[(&str, &str)], value: std::fmt::Arguments<'_>) {
        self.page.push_str(self.name);
        for (index, (name, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            put(
                self.page,
                format_args!("{before}{name}=\"{}\"", escaped(text)),
            );
        }
        if !labels.is_empty() {
            self.page.push('}');
        }
        put(self.page, format_args!(" {value}\n"));
    }
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all text");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
