/* A stand-in for libnvidia-ml.so.1, as far as the plugin asks it.
 *
 * The file that FAKE_NVML names says how it behaves, and is read again at each call:
 *
 *   count 2                 how many devices there are
 *   fail SYMBOL CODE [N]    SYMBOL (or *, any) returns CODE (for device N only)
 *   hang SYMBOL             SYMBOL does not return
 *   energy 5000             the energy counter, in millijoules
 *   mig 2                   device 0 is split into so many instances
 *   process PID BYTES SM    a process on device 0, its memory and SM utilization
 *
 * Compiled with -DOLD_DRIVER it lacks what came with newer drivers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7 };

typedef unsigned long long u64;
typedef struct { int index, instance; } device;
typedef struct { unsigned pid; u64 memory; unsigned gpu_instance, compute_instance; } process;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2;
typedef struct { unsigned version; int sensor, temperature; } temperature_v1;
typedef struct { unsigned pid; u64 time; unsigned sm, memory, encoder, decoder; } sample;

static device devices[8] = {{0, -1}, {1, -1}, {2, -1}, {3, -1}, {4, -1}, {5, -1}, {6, -1}, {7, -1}};
static device instances[8] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}, {0, 7}};
static int initialized;

static FILE *control(void) {
    const char *path = getenv("FAKE_NVML");
    return path ? fopen(path, "r") : NULL;
}

static u64 setting(const char *name, u64 otherwise) {
    char line[256], key[64];
    u64 value, found = otherwise;
    FILE *file = control();
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%63s %llu", key, &value) == 2 && !strcmp(key, name)) found = value;
    if (file) fclose(file);
    return found;
}

static int ordered(const char *symbol, const device *d) {
    char line[256], verb[16], name[80];
    int code, only, given, answer = SUCCESS;
    FILE *file = control();
    while (file && fgets(line, sizeof line, file)) {
        given = sscanf(line, "%15s %79s %d %d", verb, name, &code, &only);
        if (given < 2 || (strcmp(name, symbol) && strcmp(name, "*"))) continue;
        if (!strcmp(verb, "hang")) for (;;) pause();
        if (!strcmp(verb, "fail") && (given < 4 || (d && d->index == only))) answer = code;
    }
    if (file) fclose(file);
    return answer;
}

static unsigned processes(process *into, sample *samples, unsigned room) {
    char line[256];
    unsigned pid, sm, n = 0;
    u64 memory;
    FILE *file = control();
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "process %u %llu %u", &pid, &memory, &sm) != 3) continue;
        if (n < room && into) into[n] = (process){pid, memory, ~0u, ~0u};
        if (n < room && samples) samples[n] = (sample){pid, 1000 + n, sm, 0, 0, 0};
        n++;
    }
    if (file) fclose(file);
    return n;
}

#define ENTER(d) \
    do { \
        int code = ordered(__func__, d); \
        if (code) return code; \
        if (!initialized) return UNINITIALIZED; \
    } while (0)
#define WHOLE_DEVICE(d) if ((d)->instance >= 0) return NOT_SUPPORTED
#define NUMBER(symbol, type, value) \
    int symbol(device *d, type *out) { ENTER(d); WHOLE_DEVICE(d); *out = (value); return SUCCESS; }

int nvmlInitWithFlags(unsigned flags) {
    int code = ordered(__func__, NULL);
    if (!code) initialized++;
    return (void)flags, code;
}
int nvmlShutdown(void) { ENTER(NULL); initialized--; return SUCCESS; }
int fake_initialized(void) { return initialized; }
const char *nvmlErrorString(int code) { return code == 42 ? "an error of the test's own" : "an error"; }

int nvmlDeviceGetCount_v2(unsigned *out) { ENTER(NULL); *out = setting("count", 1); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, device **out) {
    ENTER(&devices[i]);
    *out = &devices[i];
    return SUCCESS;
}
int nvmlSystemGetDriverVersion(char *out, unsigned n) { ENTER(NULL); snprintf(out, n, "550.54.14"); return 0; }
int nvmlSystemGetCudaDriverVersion(int *out) { ENTER(NULL); *out = 12040; return SUCCESS; }
int nvmlDeviceGetName(device *d, char *out, unsigned n) { ENTER(d); snprintf(out, n, "Fake H100"); return 0; }
int nvmlDeviceGetUUID(device *d, char *out, unsigned n) { ENTER(d); snprintf(out, n, "GPU-%d", d->index); return 0; }

NUMBER(nvmlDeviceGetPowerUsage, unsigned, 123456)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, 700000)
NUMBER(nvmlDeviceGetTotalEnergyConsumption, u64, setting("energy", 5000))
NUMBER(nvmlDeviceGetFanSpeed, unsigned, 30)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, 5)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned, 16)
#ifdef OLD_DRIVER
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, u64, 0x04 | 0x40)
#else
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, u64, 0x04 | 0x01)
#endif

int nvmlDeviceGetUtilizationRates(device *d, unsigned out[2]) {
    ENTER(d);
    WHOLE_DEVICE(d);
    out[0] = 87, out[1] = 41;
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(device *d, u64 out[3]) {
    ENTER(d);
    out[0] = 1000, out[1] = 500, out[2] = 500;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *out) { ENTER(d); *out = 55 + sensor; return SUCCESS; }
#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *out) {
    ENTER(d);
    out->total = d->instance < 0 ? 1000 : 100, out->used = d->instance < 0 ? 400 : 25;
    return SUCCESS;
}
int nvmlDeviceGetTemperatureV(device *d, temperature_v1 *out) {
    ENTER(d);
    WHOLE_DEVICE(d);
    out->temperature = 60 + out->sensor;
    return SUCCESS;
}
int nvmlDeviceGetProcessUtilization(device *d, sample *out, unsigned *n, u64 since) {
    unsigned room = *n;
    ENTER(d);
    WHOLE_DEVICE(d);
    *n = d->index || since >= 1000 ? 0 : processes(NULL, out, room);
    if (!*n) return NOT_FOUND;
    return *n > room ? SMALL : SUCCESS;
}
#endif
int nvmlDeviceGetClockInfo(device *d, int clock, unsigned *out) { ENTER(d); WHOLE_DEVICE(d); *out = 1000 + clock; return 0; }
int nvmlDeviceGetPcieThroughput(device *d, int way, unsigned *out) { ENTER(d); WHOLE_DEVICE(d); *out = 10 + way; return 0; }
int nvmlDeviceGetTotalEccErrors(device *d, int kind, int counter, u64 *out) {
    ENTER(d);
    *out = 10 * kind + counter;
    return SUCCESS;
}

static int running(const device *d, unsigned *n, process *out) {
    unsigned room = *n;
    *n = d->index ? 0 : processes(out, NULL, room);
    return *n > room ? SMALL : SUCCESS;
}
#ifdef OLD_DRIVER
#define VERSIONED(symbol) symbol##_v2
#else
#define VERSIONED(symbol) symbol##_v3
#endif
int VERSIONED(nvmlDeviceGetComputeRunningProcesses)(device *d, unsigned *n, process *out) {
    ENTER(d);
    return running(d, n, out);
}
int VERSIONED(nvmlDeviceGetGraphicsRunningProcesses)(device *d, unsigned *n, process *out) {
    ENTER(d);
    *n = 0;
    return (void)out, SUCCESS;
}

int nvmlDeviceGetMigMode(device *d, unsigned *current, unsigned *pending) {
    ENTER(d);
    *current = *pending = d->index == 0 && setting("mig", 0) > 0;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *out) { ENTER(d); *out = 7; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned i, device **out) {
    ENTER(d);
    if (i >= setting("mig", 0)) return NOT_FOUND;
    *out = &instances[i];
    return SUCCESS;
}
