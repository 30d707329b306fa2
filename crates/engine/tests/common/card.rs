//! The default model compiled for the simulated card, and a machine of its own for each test.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::UNIX_EPOCH,
};

use engine::{AipuOptions, CompileOptions, Compiled, Error, Model, ModelOptions, Source};

/// Positions that the model is compiled for.
pub const CONTEXT: usize = 1024;
/// Its name.
pub const NAME: &str = "default";

/// The simulated runtime, which cargo puts beside the test's own program: it is a development dependency.
pub fn runtime() -> PathBuf {
    env::current_exe().unwrap().with_file_name("libaxruntime.so")
}

/// Compiles the default model into `out`.
pub fn compile_into(out: &Path) -> Compiled {
    engine::compile(&CompileOptions {
        weights: test_support::default_model(),
        out: out.into(),
        name: NAME.into(),
        context_length: CONTEXT,
    })
    .unwrap()
}

/// The default model, compiled once for each build of this test program; its processes wait for the first one.
pub fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let program = env::current_exe().unwrap();
        let built = program.metadata().unwrap().modified().unwrap();
        let built = built.duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program.file_name().unwrap());
        fs::create_dir_all(&out).unwrap();
        let lock = File::create(out.join("lock")).unwrap();
        lock.lock().unwrap();
        let stamp = out.join("built");
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == built) {
            return layout(&out);
        }
        let compiled = compile_into(&out);
        assert_eq!(compiled, layout(&out));
        fs::write(stamp, built).unwrap();
        compiled
    })
}

/// A published archive's layout below `out`.
pub fn layout(out: &Path) -> Compiled {
    let dir = out.join(NAME);
    Compiled {
        model_json: dir.join("model/model.json"),
        embeddings: dir.join(format!("{NAME}_embeddings.npz")),
        tokenizer_zip: dir.join(format!("{NAME}_tokenizer.zip")),
        tokenizer_dir: out.join("tokenizers").join(NAME),
    }
}

/// The compiled model on the first free device.
pub fn options() -> ModelOptions {
    let Compiled { model_json, embeddings, tokenizer_dir, .. } = compiled().clone();
    let runtime = Some(runtime());
    let aipu = AipuOptions { model: model_json, embeddings, runtime, ..AipuOptions::default() };
    ModelOptions { source: Source::Aipu(aipu), tokenizer: Some(tokenizer_dir), min_response_space: None }
}

/// The same with something changed.
pub fn options_with(change: impl FnOnce(&mut AipuOptions)) -> ModelOptions {
    let mut options = options();
    let Source::Aipu(aipu) = &mut options.source else { unreachable!("just made so") };
    change(aipu);
    options
}

pub fn open() -> Arc<Model> {
    Model::open(&options()).unwrap()
}

pub fn open_error(options: &ModelOptions) -> Error {
    Model::open(options).err().unwrap()
}

/// Variable that tells the child process of a test which one it is.
const CHILD: &str = "AXLLM_TEST_CHILD";

/// Runs `body` with variables and a folder for device locks of its own: in a child process, since variables are
/// the whole process's. `test` is the test function itself.
pub fn machine<F: Fn()>(test: F, variables: &[(&str, &str)], body: impl FnOnce()) {
    let _ = test;
    let path = std::any::type_name::<F>();
    // the program's name comes first, and is no part of the test's
    let name = path.split_once("::").unwrap().1;
    if env::var(CHILD).is_ok_and(|child| child == name) {
        return body();
    }
    let folder = tempfile::tempdir().unwrap();
    compiled();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let ours = env::vars_os().map(|(key, _)| key).filter(|key| key.to_string_lossy().starts_with("AXSIM_"));
    ours.for_each(|key| {
        command.env_remove(key);
    });
    command.envs(variables.iter().copied()).env(CHILD, name).env("XDG_RUNTIME_DIR", folder.path());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{name} {variables:?}\n{out}{err}");
    assert!(output.status.success(), "{name} {variables:?}: {}", output.status);
    assert!(out.contains("1 passed"), "{name} is no test's name");
}
