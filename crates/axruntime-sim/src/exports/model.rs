//! Models, their tensors, instances, runs.

use super::*;

use std::path::Path;

use crate::connection::Connection;
use crate::instance::Instance;
use crate::model::{self, Model};

/// # Safety
/// `path` is NULL or a C string.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_load_model(
    context: *mut AxrContext,
    path: *const c_char,
) -> *mut AxrModel {
    create(context, |scope| {
        if !registry::is_context(context.addr()) {
            return Err(Failure::argument("not a context"));
        }
        // SAFETY: the caller's promise.
        let path = unsafe { text("path", path) }?;
        Ok(Object::Model(Arc::new(Model::load(&scope.context, Path::new(&path))?)))
    })
}

fn count(handle: *mut AxrModel) -> usize {
    call(handle, |_| 0, |_| registry::get::<Model>(handle.addr()).map(|_| 1))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_num_model_inputs(model: *mut AxrModel) -> usize {
    count(model)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_num_model_outputs(model: *mut AxrModel) -> usize {
    count(model)
}

fn info(
    handle: *mut AxrModel,
    n: usize,
    get: impl FnOnce(&Model, usize) -> Option<AxrTensorInfo>,
) -> AxrTensorInfo {
    call(
        handle,
        |_| model::no_tensor(),
        |scope| {
            scope.context.settings()?.behaviour.faults.at("info")?;
            let model = registry::get::<Model>(handle.addr())?;
            get(&model, n).ok_or_else(|| Failure::argument(format!("no tensor {n}, the model has 1")))
        },
    )
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_get_model_input(model: *mut AxrModel, n: usize) -> AxrTensorInfo {
    info(model, n, Model::input)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_get_model_output(model: *mut AxrModel, n: usize) -> AxrTensorInfo {
    info(model, n, Model::output)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_get_model_properties(handle: *mut AxrModel) -> *mut AxrProperties {
    create(handle, |scope| {
        scope.context.settings()?.behaviour.faults.at("properties")?;
        let model = registry::get::<Model>(handle.addr())?;
        Ok(Object::Properties(Arc::new(Mutex::new(model.properties()))))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_load_model_instance(
    connection: *mut AxrConnection,
    model: *mut AxrModel,
    properties: *mut AxrProperties,
) -> *mut AxrModelInstance {
    create(connection, |scope| {
        let connection = registry::get::<Connection>(connection.addr())?;
        let model = registry::get::<Model>(model.addr())?;
        Instance::load(&scope.context, &connection, &model, &optional(properties)?).map(Object::Instance)
    })
}

/// # Safety
/// The arrays have as many arguments as said, and these describe memory that may be read (inputs) and written
/// (outputs) to the size that they give; an output of size 0 is as large as the tensor.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_run_model_instance(
    instance: *mut AxrModelInstance,
    inputs: *mut AxrArgument,
    n_inputs: usize,
    outputs: *mut AxrArgument,
    n_outputs: usize,
) -> AxrResult {
    result(instance, |_| {
        let instance = registry::get::<Instance>(instance.addr())?;
        // SAFETY: the caller's promise.
        let (input, output) =
            unsafe { (argument("input", inputs, n_inputs)?, argument("output", outputs, n_outputs)?) };
        instance.check_sizes(input.size, output.size)?;
        // SAFETY: as large as the argument says, which `check_sizes` found to be whole rows.
        let input = unsafe { std::slice::from_raw_parts(input.ptr.cast::<u8>(), input.size) };
        // SAFETY: as large as the tensor: the argument says so, or leaves it unchecked. The bytes may be
        // uninitialised to C, but came from another compilation: to this one they are some value.
        let output =
            unsafe { std::slice::from_raw_parts_mut(output.ptr.cast::<i8>(), instance.output_bytes()) };
        instance.run(input, output)
    })
}

/// The only argument of its kind, checked as far as it goes without a model.
///
/// # Safety
/// NULL or an array of `count` arguments.
unsafe fn argument(what: &str, arguments: *mut AxrArgument, count: usize) -> Outcome<AxrArgument> {
    if count != 1 || arguments.is_null() {
        return Err(Failure::argument(format!("{count} {what}s at {arguments:?}, expected 1")));
    }
    // SAFETY: not NULL, and one argument long.
    let argument = unsafe { arguments.read() };
    if argument.offset != 0 {
        return Err(Failure::argument(format!("{what}: offset {}, expected 0", argument.offset)));
    }
    match (argument.ptr.is_null(), argument.fd) {
        (false, 0 | -1) => Ok(argument),
        (true, 0 | -1) => Err(Failure::argument(format!("{what}: ptr is NULL"))),
        (true, fd) => {
            Err(Failure::new(AxrResult::NOT_IMPLEMENTED, format!("{what}: no DMA buffers here (fd {fd})")))
        }
        (false, fd) => Err(Failure::argument(format!("{what}: both ptr and fd {fd} are set"))),
    }
}

/// # Safety
/// `info` is NULL or a record.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_tensor_size(info: *const AxrTensorInfo) -> usize {
    // SAFETY: the caller's promise.
    unsafe { info.as_ref() }.map_or(0, model::tensor_size)
}
