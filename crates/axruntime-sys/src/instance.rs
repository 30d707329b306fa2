//! From a connection to a run: a model on the host, put on a device, run there.
#![allow(unsafe_code)] // calls the runtime

use std::ptr::null_mut;
use std::sync::Arc;

use crate::calls::Object;
use crate::model::TensorInfo;
use crate::properties::{self, Properties};
use crate::raw::{AxrArgument, AxrTensorInfo};
use crate::status::{CallError, Status};

/// A hold on (some cores of) one device.
pub struct Connection {
    pub(crate) object: Arc<Object>,
}

impl Connection {
    /// Puts a model on the device. Drop an instance before loading the next one on the same connection.
    pub fn load_instance(
        &self,
        model: &Model,
        properties: Option<&Properties>,
    ) -> Result<Instance, CallError> {
        let properties = properties.map_or(null_mut(), Properties::as_ptr);
        let object = {
            let _stack = self.object.library().lock();
            let load = self.object.symbols().axr_load_model_instance;
            // SAFETY: live handles of one library.
            unsafe {
                let pointer = load(self.object.as_ptr(), model.object.as_ptr(), properties);
                Object::adopt("axr_load_model_instance", pointer, &[&self.object, &model.object])?
            }
        };
        let sizes = |tensors: &[TensorInfo]| tensors.iter().map(TensorInfo::byte_size).collect();
        Ok(Instance { object, inputs: sizes(&model.inputs), outputs: sizes(&model.outputs) })
    }
}

/// A compiled model on the host.
pub struct Model {
    object: Arc<Object>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl Model {
    /// Asks a fresh model for its tensors, so that the answers are checked before anybody relies on them.
    pub(crate) fn describe(object: Arc<Object>) -> Result<Model, CallError> {
        const MOST: usize = 64;
        type Count = unsafe extern "C" fn(*mut crate::raw::AxrModel) -> usize;
        type Get = unsafe extern "C" fn(*mut crate::raw::AxrModel, usize) -> AxrTensorInfo;
        let tensors = |call: &'static str, what: &str, count: Count, get: Get| {
            let _stack = object.library().lock();
            // SAFETY: a live model.
            let count = unsafe { count(object.as_ptr()) };
            if count > MOST {
                return Err(CallError::disagrees(call, format!("{count} {what}s, expected at most {MOST}")));
            }
            let all = (0..count).map(|n| {
                // SAFETY: a live model; the record comes by value.
                let raw = unsafe { get(object.as_ptr(), n) };
                TensorInfo::from_raw(&raw)
                    .map_err(|reason| CallError::disagrees(call, format!("{what} {n}: {reason}")))
            });
            all.collect::<Result<Vec<_>, _>>()
        };
        let symbols = object.symbols();
        let inputs = tensors(
            "axr_get_model_input",
            "input",
            symbols.axr_num_model_inputs,
            symbols.axr_get_model_input,
        )?;
        let outputs = tensors(
            "axr_get_model_output",
            "output",
            symbols.axr_num_model_outputs,
            symbols.axr_get_model_output,
        )?;
        Ok(Model { object, inputs, outputs })
    }

    /// What a run takes.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// What a run gives.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// The pairs that the compiler left in the model.
    pub fn properties(&self) -> Result<Vec<(String, String)>, CallError> {
        let _stack = self.object.library().lock();
        // SAFETY: a live model. Whether the set belongs to the model is not said, so it is read and left to
        // the context instead of being destroyed.
        unsafe {
            let set = (self.object.symbols().axr_get_model_properties)(self.object.as_ptr());
            if set.is_null() {
                return Err(self.object.failure("axr_get_model_properties"));
            }
            Ok(properties::list(&self.object, set))
        }
    }
}

/// A model on a device, with its state there (the KV cache).
pub struct Instance {
    object: Arc<Object>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Instance {
    /// Runs the model once; blocks until the outputs are written. Not re-entrant in the runtime, hence
    /// `&mut self`; different instances may run at the same time, and no lock is held.
    ///
    /// An input may be shorter than its tensor (fewer rows), an output has exactly its tensor's size: a size
    /// of 0 would tell the runtime not to check, so it never gets there.
    pub fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), CallError> {
        const CALL: &str = "axr_run_model_instance";
        let sizes = |buffers: &[usize], expected: &[usize], what: &str, exact: bool| {
            let fits = buffers.len() == expected.len()
                && buffers.iter().zip(expected).all(|(got, most)| match exact {
                    true => got == most,
                    false => (1..=*most).contains(got),
                });
            if fits {
                return Ok(());
            }
            let text = format!("{what} buffers of {buffers:?} bytes, expected {expected:?}");
            Err(CallError { call: CALL, status: Status::InvalidArgument, text })
        };
        sizes(&inputs.iter().map(|b| b.len()).collect::<Vec<_>>(), &self.inputs, "input", false)?;
        sizes(&outputs.iter().map(|b| b.len()).collect::<Vec<_>>(), &self.outputs, "output", true)?;
        let argument = |ptr: *mut u8, size| AxrArgument { ptr: ptr.cast(), fd: 0, offset: 0, size };
        let mut inputs: Vec<_> = inputs.iter().map(|b| argument(b.as_ptr().cast_mut(), b.len())).collect();
        let mut outputs: Vec<_> = outputs.iter_mut().map(|b| argument(b.as_mut_ptr(), b.len())).collect();
        // SAFETY: a live instance, used by nobody else (`&mut`). The arguments point at buffers that are
        // borrowed for the whole call; inputs are only read, though C has no const there, and what is written
        // to an output is at most the tensor's size, which is the buffer's.
        let result = unsafe {
            (self.object.symbols().axr_run_model_instance)(
                self.object.as_ptr(),
                inputs.as_mut_ptr(),
                inputs.len(),
                outputs.as_mut_ptr(),
                outputs.len(),
            )
        };
        self.object.check(CALL, result)
    }
}
