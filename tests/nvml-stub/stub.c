/* A stand-in for libnvidia-ml.so that says what a script says.
 *
 * The file named by NVML_STUB holds one fact a line, `<target> <name> <value>`:
 *   target  `*` any device, `0` GPU 0, `0.1` MIG instance 1 of GPU 0, `system`, `xid`
 *   value   a number or text; `!<code>` makes the call fail with that NVML return code
 * A more exact target goes before `*`; a name without a fact is "not supported" (3).
 * `<target> process <pid> <bytes>`, `mps_process` likewise and `<target> process_busy <pid> <percent>` may repeat.
 * `xid <n> <gpu> <code>` is delivered once, in the order of n, if its GPU was registered for events; what was there
 * before the set of events was made is past.
 * The file may be replaced while the library is in use. Calls are counted in `$NVML_STUB.calls` at shutdown.
 *
 * Built with -DSCRIPT="path" it needs no environment. Built with -DOLD_DRIVER it lacks the symbols that old drivers lack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define GPUS 16
#define INSTANCES 8
#define FACTS 2048

typedef unsigned long long u64;
typedef struct { int gpu, mig; } device;
typedef struct { char target[16], name[32], value[96]; } fact;
typedef struct { device *device; int mig; } sample;

static device devices[GPUS][INSTANCES + 1];
static fact facts[FACTS];
static int fact_count;
static struct timespec loaded;
static ino_t loaded_inode;
static u64 xids_delivered;
static int watched[GPUS];
static struct { const char *name; unsigned long count; } calls[96];

static void counted(const char *name) {
    for (int i = 0; i < 96; i++) {
        if (!calls[i].name) calls[i].name = name;
        if (calls[i].name == name || !strcmp(calls[i].name, name)) { calls[i].count++; return; }
    }
}

static const char *script(void) {
#ifdef SCRIPT
    return SCRIPT;
#else
    return getenv("NVML_STUB");
#endif
}

static void load(void) {
    const char *path = script();
    struct stat now;
    if (!path || stat(path, &now)) return;
    if (now.st_mtim.tv_sec == loaded.tv_sec && now.st_mtim.tv_nsec == loaded.tv_nsec && now.st_ino == loaded_inode) return;
    loaded = now.st_mtim;
    loaded_inode = now.st_ino;
    FILE *file = fopen(path, "r");
    if (!file) return;
    char line[256];
    fact_count = 0;
    while (fact_count < FACTS && fgets(line, sizeof line, file)) {
        fact *f = &facts[fact_count];
        f->value[0] = 0;
        if (line[0] != '#' && sscanf(line, "%15s %31s %95[^\n]", f->target, f->name, f->value) >= 2) fact_count++;
    }
    fclose(file);
}

static const char *find(const char *target, const char *name) {
    for (int i = 0; i < fact_count; i++)
        if (!strcmp(facts[i].target, target) && !strcmp(facts[i].name, name)) return facts[i].value;
    return NULL;
}

static void target_of(device *d, char *out) {
    if (d->mig) sprintf(out, "%d.%d", d->gpu, d->mig - 1);
    else sprintf(out, "%d", d->gpu);
}

static const char *text(device *d, const char *name, int *code) {
    char target[16];
    target_of(d, target);
    const char *all = find(target, "all");
    const char *value = all ? all : find(target, name);
    if (!value && !d->mig) value = find("*", name);
    *code = !value ? 3 : value[0] == '!' ? atoi(value + 1) : 0;
    return value;
}

static int number(device *d, const char *name, u64 *out) {
    int code;
    const char *value = text(d, name, &code);
    if (code == 0) *out = value[0] == '-' ? (u64)strtoll(value, NULL, 10) : strtoull(value, NULL, 10);
    return code;
}

static int small(device *d, const char *name, unsigned *out) {
    u64 value = 0;
    int code = number(d, name, &value);
    if (code == 0) *out = (unsigned)value;
    return code;
}

static int copy(device *d, const char *name, char *out, unsigned size) {
    int code;
    const char *value = text(d, name, &code);
    if (code == 0) snprintf(out, size, "%s", value);
    return code;
}

int nvmlInit_v2(void) {
    for (int g = 0; g < GPUS; g++)
        for (int m = 0; m <= INSTANCES; m++) devices[g][m] = (device){g, m};
    load();
    const char *code = find("system", "init");
    return code ? atoi(code + 1) : 0;
}

int nvmlShutdown(void) {
    char path[512];
    snprintf(path, sizeof path, "%s.calls", script() ? script() : "");
    FILE *file = fopen(path, "w");
    if (!file) return 0;
    for (int i = 0; i < 96 && calls[i].name; i++) fprintf(file, "%s %lu\n", calls[i].name, calls[i].count);
    fclose(file);
    return 0;
}

const char *nvmlErrorString(int code) { (void)code; return "scripted"; }

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    const char *value = find("system", "driver");
    snprintf(out, size, "%s", value ? value : "570.00");
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *out) {
    const char *value = find("system", "count");
    *out = value ? atoi(value) : 0;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **out) {
    u64 ignored;
    load();
    if (index >= GPUS) return 2;
    *out = &devices[index][0];
    int code = number(*out, "handle", &ignored);
    return code == 3 ? 0 : code;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device **out) {
    load();
    counted("nvmlDeviceGetHandleByUUID");
    for (int g = 0; g < GPUS; g++) {
        int code;
        const char *own = text(&devices[g][0], "uuid", &code);
        u64 ignored;
        if (code || strcmp(own, uuid)) continue;
        *out = &devices[g][0];
        code = number(*out, "handle", &ignored);
        return code == 3 ? 0 : code;
    }
    return 6;
}

int nvmlDeviceGetUUID(device *d, char *out, unsigned size) { return copy(d, "uuid", out, size); }
int nvmlDeviceGetName(device *d, char *out, unsigned size) { return copy(d, "name", out, size); }

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci;
int nvmlDeviceGetPciInfo_v3(device *d, pci *out) { return copy(d, "pci", out->bus_id, 32); }

typedef struct { unsigned gpu, memory; } utilization;
int nvmlDeviceGetUtilizationRates(device *d, utilization *out) {
    load();
    counted("nvmlDeviceGetUtilizationRates");
    int code = small(d, "gpu_busy", &out->gpu);
    return code ? code : small(d, "memory_busy", &out->memory);
}

typedef struct { u64 total, free, used; } memory_v1;
int nvmlDeviceGetMemoryInfo(device *d, memory_v1 *out) {
    out->free = 0;
    int code = number(d, "memory_total", &out->total);
    return code ? code : number(d, "memory_used", &out->used);
}

int nvmlDeviceGetPowerUsage(device *d, unsigned *out) { counted("nvmlDeviceGetPowerUsage"); return small(d, "power", out); }
int nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned *out) { return small(d, "power_limit", out); }
int nvmlDeviceGetTotalEnergyConsumption(device *d, u64 *out) { return number(d, "energy", out); }
int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *out) { (void)sensor; return small(d, "temperature", out); }
int nvmlDeviceGetClockInfo(device *d, int which, unsigned *out) { return small(d, which == 1 ? "sm_clock" : "memory_clock", out); }
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, u64 *out) { return number(d, "throttle", out); }

int nvmlDeviceGetTotalEccErrors(device *d, int kind, int counter, u64 *out) {
    (void)counter;
    return number(d, kind == 0 ? "ecc_corrected" : "ecc_uncorrected", out);
}

int nvmlDeviceGetRemappedRows(device *d, unsigned *c, unsigned *u, unsigned *pending, unsigned *failed) {
    *pending = *failed = 0;
    int code = small(d, "remapped_corrected", c);
    small(d, "remapped_pending", pending);
    small(d, "remapped_failed", failed);
    return code ? code : small(d, "remapped_uncorrected", u);
}

int nvmlDeviceGetMaxPcieLinkGeneration(device *d, unsigned *out) { return small(d, "pcie_generation", out); }
int nvmlDeviceGetMaxPcieLinkWidth(device *d, unsigned *out) { return small(d, "pcie_width", out); }

int nvmlDeviceGetNvLinkState(device *d, unsigned link, unsigned *out) {
    char name[32];
    sprintf(name, "link_%u", link);
    int code = small(d, name, out);
    return code == 3 && link > 0 ? 2 : code;
}

typedef struct { unsigned pid; u64 bytes; unsigned instance, compute; } process;
static int listed(device *d, const char *name, unsigned *count, process *out) {
    u64 code;
    char target[16];
    unsigned room = *count, found = 0;
    target_of(d, target);
    int failed = number(d, "processes", &code);
    if (failed && failed != 3) return failed;
    for (int i = 0; i < fact_count; i++) {
        if (strcmp(facts[i].target, target) || strcmp(facts[i].name, name)) continue;
        if (found < room) sscanf(facts[i].value, "%u %llu", &out[found].pid, &out[found].bytes);
        found++;
    }
    *count = found;
    return found > room ? 7 : 0;
}
#ifdef OLD_DRIVER
#define LISTS(name) name##_v2
#else
#define LISTS(name) name##_v3
#endif
int LISTS(nvmlDeviceGetComputeRunningProcesses)(device *d, unsigned *count, process *out) {
    return listed(d, "process", count, out);
}
int LISTS(nvmlDeviceGetMPSComputeRunningProcesses)(device *d, unsigned *count, process *out) {
    return listed(d, "mps_process", count, out);
}
int LISTS(nvmlDeviceGetGraphicsRunningProcesses)(device *d, unsigned *count, process *out) {
    return listed(d, "graphics_process", count, out);
}

typedef struct { unsigned pid; u64 time; unsigned sm, memory, encoder, decoder; } busy;
int nvmlDeviceGetProcessUtilization(device *d, busy *out, unsigned *count, u64 since) {
    struct timespec now;
    char target[16];
    unsigned room = *count, found = 0;
    (void)since;
    target_of(d, target);
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < fact_count; i++) {
        if (strcmp(facts[i].target, target) || strcmp(facts[i].name, "process_busy")) continue;
        if (found < room) {
            out[found] = (busy){0};
            sscanf(facts[i].value, "%u %u", &out[found].pid, &out[found].sm);
            out[found].time = (u64)now.tv_sec * 1000000 + now.tv_nsec / 1000;
        }
        found++;
    }
    *count = found;
    return found == 0 ? 6 : found > room ? 7 : 0;
}

typedef struct { device *device; u64 type, data; unsigned instance, compute; } event;
int nvmlEventSetCreate(void **out) {
    load();
    for (int i = 0; i < fact_count; i++) {
        u64 order = strtoull(facts[i].name, NULL, 10);
        if (!strcmp(facts[i].target, "xid") && order > xids_delivered) xids_delivered = order;
    }
    *out = &xids_delivered;
    return 0;
}
int nvmlEventSetFree(void *set) {
    (void)set;
    memset(watched, 0, sizeof watched);
    return 0;
}
int nvmlDeviceRegisterEvents(device *d, u64 types, void *set) {
    (void)set;
    if (types != 8) return 3;
    watched[d->gpu] = 1;
    return 0;
}
int nvmlEventSetWait_v2(void *set, event *out, unsigned timeout) {
    (void)set; (void)timeout;
    for (int i = 0; i < fact_count; i++) {
        unsigned gpu;
        u64 code, order = strtoull(facts[i].name, NULL, 10);
        if (strcmp(facts[i].target, "xid") || order <= xids_delivered) continue;
        if (sscanf(facts[i].value, "%u %llu", &gpu, &code) != 2 || gpu >= GPUS) continue;
        xids_delivered = order;
        if (!watched[gpu]) continue;
        *out = (event){&devices[gpu][0], 8, code, 0xFFFFFFFFu, 0xFFFFFFFFu};
        return 0;
    }
    return 10;
}

#ifndef OLD_DRIVER

typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2;
int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *out) {
    if (out->version != (sizeof(memory_v2) | 2u << 24)) return 25;
    int code = number(d, "memory_total", &out->total);
    return code ? code : number(d, "memory_used", &out->used);
}

int nvmlDeviceGetCurrentClocksEventReasons(device *d, u64 *out) { return number(d, "throttle", out); }

typedef struct { unsigned id, scope; long long time, latency; int type, code; union { double d; unsigned u32; u64 u64_; } value; } field;
int nvmlDeviceGetFieldValues(device *d, int count, field *fields) {
    u64 lost;
    int code = number(d, "fields", &lost);
    if (code && code != 3) return code;
    counted("nvmlDeviceGetFieldValues");
    for (int i = 0; i < count; i++) {
        char name[32];
        u64 value = 0;
        sprintf(name, "field32_%u", fields[i].id);
        fields[i].type = 1;
        fields[i].code = number(d, name, &value);
        if (fields[i].code == 3) {
            sprintf(name, "field_%u", fields[i].id);
            fields[i].type = 3;
            fields[i].code = number(d, name, &value);
        }
        if (fields[i].type == 1) fields[i].value.u32 = (unsigned)value;
        else fields[i].value.u64_ = value;
    }
    return 0;
}

int nvmlDeviceGetMigMode(device *d, unsigned *current, unsigned *pending) {
    *pending = 0;
    return small(d, "mig", current);
}
int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *out) { (void)d; *out = INSTANCES - 1; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned index, device **out) {
    int code;
    if (index >= INSTANCES) return 2;
    *out = &devices[d->gpu][index + 1];
    text(*out, "uuid", &code);
    return code ? 6 : 0;
}
int nvmlDeviceGetGpuInstanceId(device *d, unsigned *out) { *out = (unsigned)d->mig; return d->mig ? 0 : 3; }

typedef struct { unsigned version, supported; } gpm_support;
int nvmlGpmQueryDeviceSupport(device *d, gpm_support *out) {
    out->supported = 0;
    counted("nvmlGpmQueryDeviceSupport");
    int code = small(&devices[d->gpu][0], "gpm", &out->supported);
    return code == 3 ? 0 : code;
}
int nvmlGpmSampleAlloc(sample **out) { return (*out = calloc(1, sizeof(sample))) ? 0 : 20; }
int nvmlGpmSampleFree(sample *s) { free(s); return 0; }
int nvmlGpmSampleGet(device *d, sample *s) { s->device = d; s->mig = 0; return d->mig ? 2 : 0; }
int nvmlGpmMigSampleGet(device *d, unsigned instance, sample *s) {
    if (d->mig || instance > INSTANCES) return 2;
    s->device = &devices[d->gpu][instance];
    return 0;
}
typedef struct { unsigned id; int code; double value; char *names[3]; } gpm_metric;
typedef struct { unsigned version, count; sample *earlier, *later; gpm_metric metrics[210]; } gpm_request;
int nvmlGpmMetricsGet(gpm_request *r) {
    if (r->version != 1 || !r->earlier->device || !r->later->device) return 2;
    for (unsigned i = 0; i < r->count && i < 210; i++) {
        char name[32];
        int code;
        sprintf(name, "gpm_%u", r->metrics[i].id);
        const char *value = text(r->later->device, name, &code);
        r->metrics[i].code = code;
        if (code == 0) r->metrics[i].value = atof(value);
    }
    return 0;
}

#endif
