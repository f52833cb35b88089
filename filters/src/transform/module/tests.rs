use super::*;
use crate::transform::Transform;

/// What a module has besides what it does: room behind 1024.
const HEAD: &str = r#"
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
"#;

const FUEL: u64 = 100_000;
const MEMORY_BYTES: u32 = 1 << 20;

fn parse(text: &str) -> Result<Module, ModuleError> {
    Module::parse(&wat::parse_str(text).unwrap())
}

/// A module whose `transform` is this.
fn transform(body: &str) -> Transform {
    module(&format!(
        "(module {HEAD} (func $t (export \"transform\") (param $at i32) (param $bytes i32) (result i64) {body}))"
    ))
}

/// A module whose `transform` leaves the event.
fn idle(head: &str, rest: &str) -> Transform {
    module(&format!(
        "(module {head} (func (export \"transform\") (param i32 i32) (result i64) (i64.const 0)) {rest})"
    ))
}

fn module(text: &str) -> Transform {
    step(parse(text).unwrap(), &file()).unwrap()
}

fn step(module: Module, file: &WasmFile) -> Result<Transform, StepProblem> {
    Transform::module(
        file,
        &Modules::from([("m.wasm".to_owned(), Arc::new(module))]),
    )
}

fn file() -> WasmFile {
    WasmFile {
        file: "m.wasm".to_owned(),
        export: "transform".to_owned(),
        fuel: FUEL,
        memory_bytes: MEMORY_BYTES,
    }
}

fn event() -> Event {
    with_data(r#"{"door":3,"pin":"4711"}"#)
}

fn with_data(json: &str) -> Event {
    let builder = Event::builder("7", "/gate", "entry");
    builder.payload(json.as_bytes().to_vec()).build().unwrap()
}

fn failure(step: &Transform) -> ModuleFailure {
    let error = step.apply(&event()).unwrap_err();
    assert_eq!(error.class(), "module");
    match error {
        TransformError::Module(failure) => failure,
        other => panic!("{other}"),
    }
}

fn trap(step: &Transform) -> String {
    match failure(step) {
        ModuleFailure::Trap(what) => what,
        other => panic!("{other}"),
    }
}

#[test]
fn the_example_masks_a_field_of_every_event_and_is_what_its_source_says() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/rules/mask");
    let source = std::fs::read_to_string(format!("{example}.wat")).unwrap();
    let shipped = std::fs::read(format!("{example}.wasm")).unwrap();
    assert_eq!(shipped, wat::parse_str(source).unwrap());
    let mask = step(Module::parse(&shipped).unwrap(), &file()).unwrap();
    for (data, expected) in [
        (r#"{"door":3,"pin":"4711"}"#, r#"{"door":3,"pin":"****"}"#),
        (
            r#"{"pin" : "4\"1", "a": [{"pin": 5}]}"#,
            r#"{"pin" : "****", "a": [{"pin": 5}]}"#,
        ),
        (r#"{"pin": ""}"#, r#"{"pin": ""}"#),
    ] {
        let event = with_data(data);
        let made = mask.apply(&event).unwrap();
        assert_eq!(String::from_utf8_lossy(made.data_bytes()), expected);
        assert_eq!(made.r#type, "entry");
    }
}

#[test]
fn nothing_made_leaves_the_event_and_nothing_is_remembered() {
    let first_only = transform(
        "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
         (if (i32.ne (i32.load (i32.const 0)) (i32.const 1)) (then unreachable)) (i64.const 0)",
    );
    for _ in 0..3 {
        assert_eq!(first_only.apply(&event()), Ok(event()));
    }
}

#[test]
fn an_endless_loop_ends_with_its_fuel_also_while_the_module_starts() {
    let endless = transform("(loop $again (br $again)) (i64.const 0)");
    assert_eq!(failure(&endless), ModuleFailure::Fuel(FUEL));
    let spin = "(func $spin (loop $again (br $again))) (start $spin)";
    assert_eq!(failure(&idle(HEAD, spin)), ModuleFailure::Fuel(FUEL));
}

#[test]
fn memory_grows_to_its_bound_and_no_further() {
    let pages = MEMORY_BYTES / PAGE_BYTES;
    let grown_by = |pages: u32| {
        transform(&format!(
            "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable)) (i64.const 0)"
        ))
    };
    assert_eq!(grown_by(pages - 1).apply(&event()), Ok(event()));
    assert!(trap(&grown_by(pages)).contains("unreachable"));
    let begins_with = |pages: u32| {
        let memory = format!("(memory (export \"memory\") {pages})");
        idle(&HEAD.replace("(memory (export \"memory\") 1)", &memory), "")
    };
    assert_eq!(begins_with(pages).apply(&event()), Ok(event()));
    assert!(trap(&begins_with(pages + 1)).contains("memory"));
}

#[test]
fn a_trap_and_endless_recursion_fail_the_step() {
    assert!(trap(&transform("unreachable")).contains("unreachable"));
    let deep = transform("(call $t (local.get $at) (local.get $bytes))");
    assert!(trap(&deep).contains("stack"));
}

#[test]
fn what_is_made_is_an_event_with_the_same_identity_in_its_memory() {
    for place in ["0x7FFFFFFF00000010", "0x0000FFFF00000002"] {
        let outside = transform(&format!("(i64.const {place})"));
        assert_eq!(failure(&outside), ModuleFailure::Place);
    }
    let elsewhere = HEAD.replace("1024", "65530");
    assert_eq!(failure(&idle(&elsewhere, "")), ModuleFailure::Place);
    let nonsense = transform("(i64.const 4)");
    assert!(matches!(failure(&nonsense), ModuleFailure::NoEvent(_)));
    let large = transform("(i64.const -1)").apply(&event());
    assert_eq!(large, Err(TransformError::TooLong));
    // Every 7 of the event becomes an 8, also that of its `id`.
    let renumbered = transform(
        "(local $i i32)
         (loop $next
           (if (i32.eq (i32.load8_u (i32.add (local.get $at) (local.get $i))) (i32.const 0x37))
             (then (i32.store8 (i32.add (local.get $at) (local.get $i)) (i32.const 0x38))))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $next (i32.lt_u (local.get $i) (local.get $bytes))))
         (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $bytes)))",
    );
    assert_eq!(failure(&renumbered), ModuleFailure::Identity);
}

#[test]
fn a_module_that_no_step_can_use_is_refused_when_it_is_read() {
    let import = parse(r#"(module (import "env" "clock" (func)))"#);
    assert_eq!(import, Err(ModuleError::Import("env.clock".to_owned())));
    let missing = |text: &str| match parse(text) {
        Err(ModuleError::Export(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing("(module)"), "memory");
    let no_room = r#"(module (memory (export "memory") 1))"#;
    assert_eq!(missing(no_room), "allocate [I32] -> I32");
    assert!(matches!(
        Module::parse(b"\0asm"),
        Err(ModuleError::Invalid(_))
    ));
    let large = vec![0; MAX_MODULE_BYTES + 1];
    assert_eq!(Module::parse(&large), Err(ModuleError::TooLarge));
}

#[test]
fn a_step_names_a_module_an_export_and_bounds_that_there_are() {
    let head = format!("(module {HEAD})");
    let problem = |change: fn(&mut WasmFile)| {
        let text = head.replace(
            "(module",
            "(module (func (export \"transform\") (param i32 i32) (result i64) (i64.const 0))",
        );
        let mut file = file();
        change(&mut file);
        match step(parse(&text).unwrap(), &file) {
            Err(StepProblem::Module(problem)) => problem,
            other => panic!("{other:?}"),
        }
    };
    let export = problem(|it| it.export = "mask".to_owned());
    assert_eq!(
        export,
        ModuleError::Export("mask [I32, I32] -> I64".to_owned())
    );
    let wrong_type = problem(|it| it.export = "allocate".to_owned());
    assert_eq!(
        wrong_type,
        ModuleError::Export("allocate [I32, I32] -> I64".to_owned())
    );
    let unknown = problem(|it| it.file = "n.wasm".to_owned());
    assert_eq!(unknown, ModuleError::Unknown("n.wasm".to_owned()));
    assert_eq!(problem(|it| it.fuel = 0), ModuleError::Bounds);
    assert_eq!(problem(|it| it.fuel = MAX_FUEL + 1), ModuleError::Bounds);
    assert_eq!(
        problem(|it| it.memory_bytes = PAGE_BYTES - 1),
        ModuleError::Bounds
    );
    assert_eq!(
        problem(|it| it.memory_bytes = MAX_MEMORY_BYTES + 1),
        ModuleError::Bounds
    );
}
