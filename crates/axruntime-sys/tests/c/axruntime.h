/* The interface of libaxruntime as reference/axruntime-abi.md describes it, in our own words: what the Rust
   types are compared with. */
#ifndef AXRUNTIME_H
#define AXRUNTIME_H
#include <stddef.h>

#define AXR_MAX_TENSOR_DIMS 8

typedef struct axrObject axrObject;
typedef struct axrContext axrContext;
typedef struct axrConnection axrConnection;
typedef struct axrModel axrModel;
typedef struct axrModelInstance axrModelInstance;
typedef struct axrProperties axrProperties;

typedef enum axrResult {
    AXR_SUCCESS,
    AXR_ERROR_RUNTIME_ERROR,
    AXR_ERROR_VALUE_ERROR,
    AXR_ERROR_INVALID_ARGUMENT,
    AXR_ERROR_CONNECTION_ERROR,
    AXR_ERROR_DEVICE_IN_USE,
    AXR_ERROR_INCOMPATIBLE_DEVICE,
    AXR_ERROR_INVALID_CONFIGURATION,
    AXR_ERROR_NOT_IMPLEMENTED,
    AXR_ERROR_INTERNAL_ERROR,
    AXR_ERROR_PENDING_ERROR,
    AXR_ERROR_UNKNOWN_ERROR
} axrResult;

typedef enum axrBoardType {
    AXR_BOARD_ALPHA_PCIE,
    AXR_BOARD_ALPHA_M2,
    AXR_BOARD_OMEGA_PCIE,
    AXR_BOARD_OMEGA_M2,
    AXR_BOARD_DEVBOARD,
    AXR_BOARD_SBC,
    AXR_BOARD_UNKNOWN
} axrBoardType;

typedef enum axrLogLevel {
    AXR_LOG_TRACE, AXR_LOG_LOG, AXR_LOG_DEBUG, AXR_LOG_INFO, AXR_LOG_FIXME, AXR_LOG_WARNING, AXR_LOG_ERROR
} axrLogLevel;

typedef struct axrArgument {
    void *ptr;
    int fd;
    size_t offset;
    size_t size;
} axrArgument;

typedef struct axrDeviceInfo {
    char name[256];
    size_t subdevice_count;
    size_t max_memory;
    int in_use;
    char in_use_by[256];
    axrBoardType board_type;
    char firmware_version[256];
    int board_revision;
    char flashed_firmware_version[256];
    char board_controller_firmware_version[256];
    char board_controller_board_type[256];
} axrDeviceInfo;

typedef struct axrTensorInfo {
    size_t dims[AXR_MAX_TENSOR_DIMS];
    size_t ndims;
    size_t bits;
    size_t type;
    char name[256];
    size_t padding[AXR_MAX_TENSOR_DIMS][2];
    double scale;
    int zero_point;
} axrTensorInfo;

typedef void (*axrLogger)(void *arg, axrLogLevel level, const char *message);

unsigned axr_api_version(void);
const char *axr_board_type_string(axrBoardType);
axrContext *axr_create_context(void);
void axr_destroy(const axrObject *);
axrContext *axr_get_context(axrObject *);
axrResult axr_last_error(const axrObject *);
const char *axr_last_error_string(const axrObject *);
const char *axr_error_string(axrResult);
void axr_set_logger(axrContext *, axrLogLevel, axrLogger, void *arg);
size_t axr_list_devices(axrContext *, axrDeviceInfo **);
axrResult axr_configure_device(axrContext *, axrDeviceInfo *, axrProperties *);
axrResult axr_device_ready(axrContext *, axrDeviceInfo *);
axrProperties *axr_read_device_configuration(axrContext *, axrDeviceInfo *);
axrConnection *axr_device_connect(axrContext *, axrDeviceInfo *, size_t, axrProperties *);
axrModel *axr_load_model(axrContext *, const char *);
size_t axr_num_model_inputs(axrModel *);
size_t axr_num_model_outputs(axrModel *);
axrTensorInfo axr_get_model_input(axrModel *, size_t);
axrTensorInfo axr_get_model_output(axrModel *, size_t);
axrProperties *axr_get_model_properties(axrModel *);
axrModelInstance *axr_load_model_instance(axrConnection *, axrModel *, axrProperties *);
axrResult axr_run_model_instance(axrModelInstance *, axrArgument *, size_t, axrArgument *, size_t);
axrProperties *axr_create_properties(axrContext *, const char *);
const char *axr_get_property(axrProperties *, const char *);
void axr_set_property(axrProperties *, const char *, const char *);
void axr_del_property(axrProperties *, const char *);
const char *axr_list_properties(axrProperties *);
size_t axr_tensor_size(const axrTensorInfo *);

#endif
