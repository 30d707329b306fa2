//! The owning types over a tiny library in C: by-value structs, the logger, statuses, order of destruction.
#![allow(unsafe_code)] // sets variables of its own process, and calls the raw table once
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use axruntime_sys::{Connection, Context, Instance, LogLevel, Model, Properties, Status, TensorKind};
use common::Tiny;

/// The tiny library reads variables of the process; tests of one process take turns.
static ENVIRONMENT: Mutex<()> = Mutex::new(());

fn with<T>(pairs: &[(&str, &str)], body: impl FnOnce(&Context) -> T) -> T {
    let _turn = ENVIRONMENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let tiny = Tiny::new(&[]);
    let context = Context::new(tiny.open().unwrap());
    // SAFETY: the turn is ours, and no other thread of a test process reads variables without it.
    pairs.iter().for_each(|(key, value)| unsafe { std::env::set_var(key, value) });
    let result = body(&context);
    // SAFETY: as above.
    pairs.iter().for_each(|(key, _)| unsafe { std::env::remove_var(key) });
    result
}

fn everything(context: &Context) -> (Connection, Model, Instance) {
    let connection = context.connect(None, 4, None).unwrap();
    let model = context.load_model(Path::new("/a model")).unwrap();
    let instance = connection.load_instance(&model, None).unwrap();
    (connection, model, instance)
}

#[test]
fn devices_come_with_every_field() {
    with(&[], |context| {
        let devices = context.devices().unwrap();
        assert_eq!(devices.len(), 2);
        let (first, second) = (&devices[0], &devices[1]);
        assert_eq!((first.index, first.name.as_str(), first.sub_devices), (0, "metis-0:1:0", 4));
        assert_eq!(
            (first.max_memory, first.in_use, first.board_type_name.as_str()),
            (1 << 32, false, "pcie")
        );
        assert_eq!((second.index, second.name.as_str(), second.max_memory), (1, "metis-0:2:0", 2 << 32));
        assert_eq!((second.in_use, second.in_use_by.as_str(), second.board_type), (true, "alice", 5));
        assert_eq!((second.board_type_name.as_str(), second.board_revision), ("", 8));
        assert_eq!(
            (second.firmware_version.as_str(), second.flashed_firmware_version.as_str()),
            ("v1.3.1", "flashed")
        );
        assert_eq!(second.board_controller_firmware_version, "bc");
        assert_eq!(second.board_controller_board_type, "bctype");
        let configuration = context.device_configuration(second).unwrap();
        assert_eq!(configuration[1], ("device".to_owned(), "metis-0:2:0".to_owned()));
    });
    with(&[("TINY_EMPTY", "1")], |context| assert!(context.devices().unwrap().is_empty()));
}

#[test]
fn a_device_list_of_another_layout_is_refused() {
    for (variable, expected) in [("TINY_POINTERS", "another layout"), ("TINY_NO_END", "has no end")] {
        with(&[(variable, "1")], |context| {
            let error = context.devices().unwrap_err();
            assert_eq!(error.status, Status::Disagrees);
            assert!(error.text.contains(expected), "{error}");
        });
    }
}

#[test]
fn tensors_come_back_by_value() {
    with(&[], |context| {
        let model = context.load_model(Path::new("/a model")).unwrap();
        let [input] = model.inputs() else { panic!("one input") };
        assert_eq!((&input.dims[..], input.bits, input.kind), (&[4, 3][..], 16, TensorKind::Float));
        assert_eq!((input.name.as_str(), &input.padding[..]), ("rows", &[(1, 2), (3, 4)][..]));
        assert_eq!(input.byte_size(), 24);
        let [output] = model.outputs() else { panic!("one output") };
        assert_eq!((&output.dims[..], output.kind, output.byte_size()), (&[5][..], TensorKind::Signed, 5));
        assert_eq!((output.scale, output.zero_point), (0.17, -20));
        assert_eq!(model.properties().unwrap(), [("name".to_owned(), "tiny".to_owned())]);
    });
    with(&[("TINY_NDIMS", "1")], |context| {
        let error = context.load_model(Path::new("/a model")).err().unwrap();
        assert_eq!(
            error.to_string(),
            "axr_get_model_input: model and runtime disagree: input 0: 9 dimensions, expected 1 to 8"
        );
    });
}

#[test]
fn a_run_writes_its_outputs_and_checks_its_buffers() {
    with(&[], |context| {
        let (_connection, _model, mut instance) = everything(context);
        let mut logits = [0; 5];
        instance.run(&[&[1, 2, 3]], &mut [&mut logits]).unwrap();
        assert_eq!(logits, [6; 5]);
        let wrong: [(&[&[u8]], usize); 5] =
            [(&[], 5), (&[&[]], 5), (&[&[0; 25]], 5), (&[&[1]], 4), (&[&[1]], 0)];
        for (inputs, size) in wrong {
            let error = instance.run(inputs, &mut [&mut vec![0; size]]).unwrap_err();
            assert_eq!(error.status, Status::InvalidArgument, "{error}");
        }
    });
}

#[test]
fn each_status_at_each_call_is_typed_and_has_its_text() {
    type Call = fn(&Context, Option<(Connection, Model, Instance)>, Properties) -> axruntime_sys::CallError;
    let calls: [(&str, Call); 8] = [
        ("list", |c, _, _| c.devices().unwrap_err()),
        ("configure", |c, _, p| c.configure_device(&device(c), &p).unwrap_err()),
        ("read", |c, _, _| c.device_configuration(&device(c)).unwrap_err()),
        ("connect", |c, _, _| c.connect(None, 4, None).err().unwrap()),
        ("load", |c, _, _| c.load_model(Path::new("/a model")).err().unwrap()),
        ("instance", |c, _, p| {
            let connection = c.connect(None, 4, None).unwrap();
            let model = c.load_model(Path::new("/a model")).unwrap();
            connection.load_instance(&model, Some(&p)).err().unwrap()
        }),
        ("properties", |_, all, _| all.unwrap().1.properties().unwrap_err()),
        ("run", |_, all, _| all.unwrap().2.run(&[&[1]], &mut [&mut [0; 5]]).unwrap_err()),
    ];
    fn device(context: &Context) -> axruntime_sys::Device {
        context.devices().unwrap().remove(0)
    }
    with(&[], |context| {
        for (name, call) in calls {
            for (index, status) in Status::ALL.iter().copied().enumerate() {
                let code = index + 1;
                // pending is no error of configure but a reason to wait; tested below
                if name == "configure" && status == Status::Pending {
                    continue;
                }
                // SAFETY: inside `with`, whose turn this is.
                unsafe { std::env::remove_var("TINY_FAIL") };
                let all = matches!(name, "properties" | "run").then(|| everything(context));
                let properties = context.properties(&[]).unwrap();
                // SAFETY: as above.
                unsafe { std::env::set_var("TINY_FAIL", format!("{name}={code}")) };
                let error = call(context, all, properties);
                assert_eq!(
                    (error.status, error.text),
                    (status, format!("{name} said\\u{{1b}}[31m no")),
                    "{name}"
                );
            }
        }
        // SAFETY: as above.
        unsafe { std::env::remove_var("TINY_FAIL") };
    });
}

#[test]
fn a_pending_device_is_waited_for() {
    with(&[], |context| {
        let properties = context.properties(&[("clock_profile", "400")]).unwrap();
        let started = std::time::Instant::now();
        context.configure_device(&context.devices().unwrap()[0], &properties).unwrap();
        // pending twice and then ready: pauses of 50, 100 and 200 ms
        assert!(started.elapsed().as_millis() >= 350);
    });
    with(&[("TINY_FAIL", "ready=5")], |context| {
        let properties = context.properties(&[]).unwrap();
        let error = context.configure_device(&context.devices().unwrap()[0], &properties).unwrap_err();
        assert_eq!((error.call, error.status), ("axr_device_ready", Status::DeviceInUse));
    });
}

#[test]
fn properties_are_set_read_listed_and_deleted() {
    with(&[], |context| {
        let mut properties = context.properties(&[("a", "1"), ("b", "2")]).unwrap();
        properties.set("a", "3").unwrap();
        assert_eq!((properties.get("a").as_deref(), properties.get("z")), (Some("3"), None));
        assert_eq!(properties.list(), [("a".into(), "3".into()), ("b".into(), "2".into())]);
        properties.delete("a");
        assert_eq!(properties.list(), [("b".into(), "2".into())]);
        for (key, value) in [("", "1"), ("a=b", "1"), ("a", "1;b=2"), ("a\n", "1"), ("a", "\0")] {
            assert_eq!(properties.set(key, value).unwrap_err().status, Status::InvalidArgument);
        }
    });
}

#[test]
fn the_logger_hears_and_any_order_of_dropping_is_right() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    with(&[], |context| {
        let copy = Arc::clone(&heard);
        context.set_logger(LogLevel::Info, move |level, text| {
            copy.lock().unwrap().push((level, text.to_owned()));
            // unwinding into C would end the process
            assert_ne!(text, "hello", "the panic that must not pass");
        });
        let (connection, model, instance) = everything(context);
        drop(connection);
        drop(model);
        drop(instance);
    });
    // the tiny library aborts when a context goes before its children
    let texts: Vec<_> = heard.lock().unwrap().iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(texts[..2], ["hello", "destroy i"]);
    assert_eq!(texts.len(), 5, "{texts:?}");
    assert_eq!(texts[4], "destroy c");
    assert_eq!(heard.lock().unwrap()[0].0, LogLevel::Warning);
}

#[test]
fn a_handle_outlives_its_context_value_and_moves_between_threads() {
    with(&[], |context| {
        let second = Context::new(Arc::clone(context.library()));
        let (_, _, mut instance) = everything(&second);
        drop(second);
        let sum = std::thread::spawn(move || {
            let mut logits = [0; 5];
            instance.run(&[&[2, 2]], &mut [&mut logits]).map(|()| logits[0])
        });
        assert_eq!(sum.join().unwrap().unwrap(), 4);
    });
}

#[test]
fn the_list_of_names_is_the_table() {
    with(&[], |context| {
        assert_eq!(axruntime_sys::symbols::NAMES.len(), 28);
        // SAFETY: a function without arguments.
        assert_eq!(unsafe { (context.library().symbols().axr_api_version)() }, 0x10002);
    });
}
