/* Prints one line a struct and one a field: name, offset, size. */
#include "axruntime.h"
#include <stdio.h>
#define S(s) printf(#s " - %zu\n", sizeof(s))
#define F(s, f) printf(#s "." #f " %zu %zu\n", offsetof(s, f), sizeof(((s *)0)->f))
int main(void) {
    S(axrResult); S(axrBoardType); S(axrLogLevel);
    S(axrArgument); F(axrArgument, ptr); F(axrArgument, fd); F(axrArgument, offset); F(axrArgument, size);
    S(axrDeviceInfo);
    F(axrDeviceInfo, name); F(axrDeviceInfo, subdevice_count); F(axrDeviceInfo, max_memory);
    F(axrDeviceInfo, in_use); F(axrDeviceInfo, in_use_by); F(axrDeviceInfo, board_type);
    F(axrDeviceInfo, firmware_version); F(axrDeviceInfo, board_revision);
    F(axrDeviceInfo, flashed_firmware_version); F(axrDeviceInfo, board_controller_firmware_version);
    F(axrDeviceInfo, board_controller_board_type);
    S(axrTensorInfo);
    F(axrTensorInfo, dims); F(axrTensorInfo, ndims); F(axrTensorInfo, bits); F(axrTensorInfo, type);
    F(axrTensorInfo, name); F(axrTensorInfo, padding); F(axrTensorInfo, scale); F(axrTensorInfo, zero_point);
    printf("AXR_ERROR_UNKNOWN_ERROR %d\nAXR_BOARD_UNKNOWN %d\nAXR_LOG_ERROR %d\n", AXR_ERROR_UNKNOWN_ERROR,
           AXR_BOARD_UNKNOWN, AXR_LOG_ERROR);
    return 0;
}
