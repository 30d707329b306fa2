/* The smallest library with the interface: every handle is a tagged block, the model adds its input rows up.
   What it does wrong on demand is told by TINY_* variables and by -D switches at compile time. */
#include "axruntime.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION 0x10002u
#endif

struct axrContext {
    int tag;
    axrResult error;
    char text[8192];
    axrLogger logger;
    void *arg;
    int level;
    axrDeviceInfo devices[2];
    axrDeviceInfo *pointers[2];
    int pending, live;
};
/* every other handle starts with its context */
struct axrObject { int tag; axrContext *context; };
struct axrProperties { int tag; axrContext *context; char keys[8][64], values[8][64]; int n; char list[1024]; };

static axrContext *context_of(const axrObject *o) { return o->tag == 'c' ? (axrContext *)o : o->context; }
static axrResult fail(axrContext *c, axrResult r, const char *text) {
    c->error = r;
    snprintf(c->text, sizeof c->text, "%s", text);
    return r;
}
static axrObject *make(axrContext *c, int tag) {
    axrObject *o = calloc(1, sizeof *o);
    o->tag = tag, o->context = c;
    c->live++, c->error = AXR_SUCCESS;
    return o;
}
/* TINY_FAIL="<call>=<code>": that call fails with that code */
static int failing(axrContext *c, const char *call) {
    const char *e = getenv("TINY_FAIL");
    size_t n = strlen(call);
    c->error = AXR_SUCCESS, c->text[0] = 0;
    if (!e || strncmp(e, call, n) || e[n] != '=') return 0;
    char text[64];
    snprintf(text, sizeof text, "%s said\x1b[31m no", call);
    return fail(c, (axrResult)atoi(e + n + 1), text);
}

unsigned axr_api_version(void) { return VERSION; }
const char *axr_board_type_string(axrBoardType b) { return b == AXR_BOARD_OMEGA_PCIE ? "pcie" : NULL; }
axrContext *axr_create_context(void) {
    axrContext *c = calloc(1, sizeof *c);
    c->tag = 'c';
    return c;
}
void axr_destroy(const axrObject *o) {
    axrContext *c = context_of(o);
    if (o->tag == 'c' && c->live) abort(); /* the order of destruction is wrong */
    if (o->tag != 'c') c->live--;
    if (c->logger) {
        char text[32];
        snprintf(text, sizeof text, "destroy %c", o->tag);
        c->logger(c->arg, AXR_LOG_INFO, text);
    }
    free((void *)o);
}
axrContext *axr_get_context(axrObject *o) { return context_of(o); }
axrResult axr_last_error(const axrObject *o) { return context_of(o)->error; }
const char *axr_last_error_string(const axrObject *o) { return context_of(o)->text; }
const char *axr_error_string(axrResult r) { return r ? "static text" : "ok"; }
void axr_set_logger(axrContext *c, axrLogLevel l, axrLogger f, void *arg) {
    c->level = l, c->logger = f, c->arg = arg;
    f(arg, AXR_LOG_WARNING, "hello");
}
#ifndef OMIT_LIST
size_t axr_list_devices(axrContext *c, axrDeviceInfo **out) {
    if (failing(c, "list")) return 0;
    if (getenv("TINY_EMPTY")) return 0;
    for (int i = 0; i < 2; i++) {
        axrDeviceInfo *d = &c->devices[i];
        memset(d, 0, sizeof *d);
        snprintf(d->name, 256, "metis-0:%d:0", i + 1);
        d->subdevice_count = 4, d->max_memory = (size_t)(i + 1) << 32, d->in_use = i;
        snprintf(d->in_use_by, 256, "%s", i ? "alice" : "");
        d->board_type = i ? AXR_BOARD_SBC : AXR_BOARD_OMEGA_PCIE;
        snprintf(d->firmware_version, 256, "v1.3.%d", i);
        d->board_revision = 7 + i;
        snprintf(d->flashed_firmware_version, 256, "flashed");
        snprintf(d->board_controller_firmware_version, 256, "bc");
        snprintf(d->board_controller_board_type, 256, "bctype");
        c->pointers[i] = d;
    }
    if (getenv("TINY_NO_END")) memset(c->devices[1].firmware_version, 'x', 256);
    if (out) *out = getenv("TINY_POINTERS") ? (axrDeviceInfo *)c->pointers : c->devices;
    return 2;
}
#endif
axrResult axr_configure_device(axrContext *c, axrDeviceInfo *d, axrProperties *p) {
    if (failing(c, "configure")) return c->error;
    c->pending = 2;
    return d && p ? fail(c, AXR_ERROR_PENDING_ERROR, "restarting") : fail(c, AXR_ERROR_INVALID_ARGUMENT, "NULL");
}
axrResult axr_device_ready(axrContext *c, axrDeviceInfo *d) {
    if (failing(c, "ready")) return c->error;
    return d && c->pending-- > 0 ? fail(c, AXR_ERROR_PENDING_ERROR, "restarting") : AXR_SUCCESS;
}
axrProperties *axr_read_device_configuration(axrContext *c, axrDeviceInfo *d) {
    if (failing(c, "read") || !d) return NULL;
    axrProperties *p = axr_create_properties(c, "");
    axr_set_property(p, "clock_profile", "800");
    axr_set_property(p, "device", d->name);
    return p;
}
axrConnection *axr_device_connect(axrContext *c, axrDeviceInfo *d, size_t n, axrProperties *p) {
    (void)d, (void)p;
    if (failing(c, "connect")) return NULL;
    if (n > 4) return fail(c, AXR_ERROR_VALUE_ERROR, "too many"), NULL;
    return (axrConnection *)make(c, 'o');
}
axrModel *axr_load_model(axrContext *c, const char *path) {
    if (failing(c, "load")) return NULL;
    if (strcmp(path, "/a model")) return fail(c, AXR_ERROR_VALUE_ERROR, path), NULL;
    return (axrModel *)make(c, 'm');
}
size_t axr_num_model_inputs(axrModel *m) { (void)m; return 1; }
#ifndef OMIT_OUTPUTS
size_t axr_num_model_outputs(axrModel *m) { (void)m; return 1; }
#endif
axrTensorInfo axr_get_model_input(axrModel *m, size_t n) {
    axrTensorInfo t = {{4, 3}, 2, 16, 2, "rows", {{1, 2}, {3, 4}}, 0.25, 0};
    (void)m;
    if (n || getenv("TINY_NDIMS")) t.ndims = n ? 0 : 9;
    return t;
}
axrTensorInfo axr_get_model_output(axrModel *m, size_t n) {
    axrTensorInfo t = {{5}, 1, 8, 1, "logits", {{0, 0}}, 0.17, -20};
    (void)m;
    if (n) t.ndims = 0;
    return t;
}
axrProperties *axr_get_model_properties(axrModel *m) {
    axrContext *c = ((axrObject *)m)->context;
    static axrProperties p;
    p.tag = 'p', p.context = c, p.n = 0;
    axr_set_property(&p, "name", "tiny");
    return failing(c, "properties") ? NULL : &p;
}
axrModelInstance *axr_load_model_instance(axrConnection *o, axrModel *m, axrProperties *p) {
    axrContext *c = ((axrObject *)o)->context;
    (void)m, (void)p;
    return failing(c, "instance") ? NULL : (axrModelInstance *)make(c, 'i');
}
axrResult axr_run_model_instance(axrModelInstance *i, axrArgument *in, size_t n_in, axrArgument *out, size_t n_out) {
    axrContext *c = ((axrObject *)i)->context;
    if (failing(c, "run")) return c->error;
    if (n_in != 1 || n_out != 1 || in->fd || in->offset || out->size != 5)
        return fail(c, AXR_ERROR_INVALID_ARGUMENT, "shape");
    signed char sum = 0;
    for (size_t k = 0; k < in->size; k++) sum += ((signed char *)in->ptr)[k];
    memset(out->ptr, sum, 5);
    return AXR_SUCCESS;
}
axrProperties *axr_create_properties(axrContext *c, const char *initial) {
    (void)initial;
    axrProperties *p = calloc(1, sizeof *p);
    p->tag = 'p', p->context = c, c->live++;
    return p;
}
const char *axr_get_property(axrProperties *p, const char *key) {
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->keys[i], key)) return p->values[i];
    return NULL;
}
void axr_set_property(axrProperties *p, const char *key, const char *value) {
    int i = 0;
    while (i < p->n && strcmp(p->keys[i], key)) i++;
    if (i == p->n) p->n++;
    snprintf(p->keys[i], 64, "%s", key);
    snprintf(p->values[i], 64, "%s", value);
}
void axr_del_property(axrProperties *p, const char *key) {
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->keys[i], key)) {
            p->n--;
            memcpy(p->keys[i], p->keys[p->n], 64);
            memcpy(p->values[i], p->values[p->n], 64);
        }
}
const char *axr_list_properties(axrProperties *p) {
    p->list[0] = 0;
    for (int i = 0; i < p->n; i++) {
        if (i) strcat(p->list, ";");
        strcat(p->list, p->keys[i]);
    }
    return p->list;
}
size_t axr_tensor_size(const axrTensorInfo *t) {
    size_t size = t->bits / 8;
    for (size_t i = 0; i < t->ndims; i++) size *= t->dims[i];
    return size;
}
