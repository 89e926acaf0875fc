/* A libnvidia-ml.so.1 without a GPU: the real nvidia-ml-py loads it and asks it.
 *
 * What it answers stands in the text file named by FAKE_NVML_STATE, a line for each answer. The
 * file may be replaced while the driver is in use; the next call sees the new one.
 *
 *     driver 580.95.05
 *     gpus 2
 *     gpu.*.name NVIDIA H100 80GB HBM3      of every GPU that has no line of its own
 *     gpu.0.power 350000
 *     gpu.1.power ~ 90000 650000 60         swings between the two, once in 60 seconds
 *     gpu.*.energy + 350000                 grows by so much a second
 *     gpu.1.memory_used / 64e9 2e8 79e9 512.5   from 64e9 on by 2e8 a second, 79e9 at most, since
 *                                           512.5 seconds of the monotonic clock
 *     gpu.0.encoder !3                      this call fails with NVML's error 3
 *     gpu.1 !15                             every call about GPU 1 fails with error 15
 *     init !9                               NVML itself does not start
 *     dies 500 999                          from the 500th call on all of them fail with 999
 *     hang 1                                calls about GPUs do not return while this stands here
 *     xid 1 0 79                            the first event: GPU 0 has XID 79; change it for more
 *     gpu.0.processes 4711:1073741824:35 @web.pid:2147483648:20 4713:-
 *                                           pid (or a file that holds it), bytes (or - where they
 *                                           are not known), percent of the SMs; or none
 *     gpu.0.mig.2.memory_used 4194304       of the MIG device in place 2; it has to have a uuid
 *     gpu.0.field.82 54                     a field value
 *     gpu.0.gpm.2 71.5                      a GPM figure
 *
 * Numbers are in NVML's units: percent, bytes, celsius, milliwatts, millijoules, megahertz, KB/s.
 * What is not in the file is not supported. Layouts of structs and codes follow nvml.h.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef unsigned long long u64;
typedef unsigned int u32;

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    FUNCTION_NOT_FOUND = 13,
    VERSION_MISMATCH = 25,
};

enum { MAX_GPUS = 16, MAX_MIG = 7, MAX_TEXT = 512, MAX_PROCESSES = 32 };

/* What a handle points to: a GPU, or (from 0 on) one of its MIG devices. */
struct gpu {
    u32 index;
    int mig;
};

static struct gpu gpus[MAX_GPUS];
static struct gpu migs[MAX_GPUS][MAX_MIG];
static int started;

/* The state file, in memory */

struct entry {
    const char *key, *value;
};

static struct {
    char *text;
    struct entry *entries;
    size_t count;
    struct stat stat;
    double looked;
} state;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

/* Split the text into lines, and each line into a key and a value. */
static void parse_state(void)
{
    size_t lines = 1;
    char *rest = NULL;

    for (const char *c = state.text; *c; c++)
        lines += *c == '\n';
    free(state.entries);
    state.entries = calloc(lines, sizeof *state.entries);
    state.count = 0;
    for (char *line = strtok_r(state.text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');

        if (line[0] == '#' || !space)
            continue;
        *space = '\0';
        state.entries[state.count++] = (struct entry){line, space + 1};
    }
    qsort(state.entries, state.count, sizeof *state.entries, compare_entries);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Read the file again where it is another one than before; look no more often than every 5 ms. */
static void refresh_state(void)
{
    const char *path = getenv("FAKE_NVML_STATE");
    struct stat now;
    FILE *file;

    if (!path || (state.text && seconds_now() < state.looked + 0.005))
        return;
    state.looked = seconds_now();
    if (stat(path, &now) != 0)
        return;
    if (state.text && now.st_ino == state.stat.st_ino && now.st_size == state.stat.st_size &&
        now.st_mtim.tv_sec == state.stat.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == state.stat.st_mtim.tv_nsec)
        return;
    file = fopen(path, "r");
    if (!file)
        return;
    free(state.text);
    state.text = calloc(1, (size_t)now.st_size + 1);
    if (fread(state.text, 1, (size_t)now.st_size, file) != (size_t)now.st_size)
        state.text[0] = '\0';
    fclose(file);
    state.stat = now;
    parse_state();
}

/* The value of a key, or the error that stands there. */
static int look_up(const char *key, char value[MAX_TEXT])
{
    const struct entry wanted = {key, NULL}, *found;
    int status = NOT_SUPPORTED;

    pthread_mutex_lock(&lock);
    refresh_state();
    found = state.count
                ? bsearch(&wanted, state.entries, state.count, sizeof wanted, compare_entries)
                : NULL;
    if (found && found->value[0] == '!') {
        status = atoi(found->value + 1);
    } else if (found) {
        snprintf(value, MAX_TEXT, "%s", found->value);
        status = SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

/* Whether any call may be answered: NVML was started and has not died. */
static int check_alive(void)
{
    static int calls;
    char text[MAX_TEXT];
    int after, error;

    if (look_up("dies", text) == SUCCESS && sscanf(text, "%d %d", &after, &error) == 2 &&
        __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) >= after)
        return error;
    return started ? SUCCESS : UNINITIALIZED;
}

/* The text of what a GPU says of something; a MIG device says only what is its own. */
static int read_text(const struct gpu *gpu, const char *what, char text[MAX_TEXT])
{
    char key[MAX_TEXT];
    int status = check_alive();

    if (status != SUCCESS)
        return status;
    while (look_up("hang", text) == SUCCESS)
        sleep_ms(20);
    snprintf(key, sizeof key, "gpu.%u", gpu->index);
    status = look_up(key, text);
    if (status != NOT_SUPPORTED)
        return status;
    if (gpu->mig >= 0) {
        snprintf(key, sizeof key, "gpu.%u.mig.%d.%s", gpu->index, gpu->mig, what);
        return look_up(key, text);
    }
    snprintf(key, sizeof key, "gpu.%u.%s", gpu->index, what);
    status = look_up(key, text);
    if (status != NOT_SUPPORTED)
        return status;
    snprintf(key, sizeof key, "gpu.*.%s", what);
    return look_up(key, text);
}

/* A number as it is now: fixed, swinging (each GPU a little later than the one before), growing, or
 * leaking away. */
static double evaluate(const char *text, u32 index)
{
    double low, high, period, rate, since;

    if (sscanf(text, "~ %lf %lf %lf", &low, &high, &period) == 3) {
        double phase = seconds_now() / period + index / 8.0;

        return low + (high - low) * (1 - cos(2 * acos(-1) * phase)) / 2;
    }
    if (sscanf(text, "/ %lf %lf %lf %lf", &low, &rate, &high, &since) == 4)
        return fmin(low + rate * fmax(seconds_now() - since, 0), high);
    if (sscanf(text, "+ %lf", &rate) == 1)
        return rate * seconds_now();
    return strtod(text, NULL);
}

static int read_double(const struct gpu *gpu, const char *what, double *number)
{
    char text[MAX_TEXT];
    int status = read_text(gpu, what, text);

    if (status == SUCCESS)
        *number = evaluate(text, gpu->index);
    return status;
}

static int read_u64(const struct gpu *gpu, const char *what, u64 *number)
{
    double wide = 0;
    int status = read_double(gpu, what, &wide);

    if (status == SUCCESS)
        *number = (u64)wide;
    return status;
}

static int read_u32(const struct gpu *gpu, const char *what, u32 *number)
{
    u64 wide = 0;
    int status = read_u64(gpu, what, &wide);

    if (status == SUCCESS)
        *number = (u32)wide;
    return status;
}

static int copy_text(const char *text, char *out, u32 size)
{
    if (strlen(text) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(out, text);
    return SUCCESS;
}

static int copy_gpu_text(const struct gpu *gpu, const char *what, char *out, u32 size)
{
    char text[MAX_TEXT];
    int status = read_text(gpu, what, text);

    return status == SUCCESS ? copy_text(text, out, size) : status;
}

/* NVML as a whole */

int nvmlInitWithFlags(u32 flags)
{
    char text[MAX_TEXT];
    int status = look_up("init", text);

    (void)flags;
    if (status != SUCCESS && status != NOT_SUPPORTED)
        return status;
    for (u32 i = 0; i < MAX_GPUS; i++) {
        gpus[i] = (struct gpu){i, -1};
        for (int j = 0; j < MAX_MIG; j++)
            migs[i][j] = (struct gpu){i, j};
    }
    started = 1;
    status = check_alive();
    started = status == SUCCESS;
    return status;
}

int nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

int nvmlShutdown(void)
{
    if (!started)
        return UNINITIALIZED;
    started = 0;
    return SUCCESS;
}

const char *nvmlErrorString(int status)
{
    (void)status;
    return "an error of the fake driver";
}

static int system_text(const char *key, char *out, u32 size)
{
    char text[MAX_TEXT];
    int status = check_alive();

    if (status == SUCCESS)
        status = look_up(key, text);
    return status == SUCCESS ? copy_text(text, out, size) : status;
}

int nvmlSystemGetDriverVersion(char *version, u32 length)
{
    return system_text("driver", version, length);
}

int nvmlSystemGetNVMLVersion(char *version, u32 length)
{
    return system_text("nvml", version, length);
}

int nvmlSystemGetCudaDriverVersion(int *version)
{
    char text[MAX_TEXT];
    int status = system_text("cuda", text, sizeof text);

    if (status == SUCCESS)
        *version = atoi(text);
    return status;
}

int nvmlDeviceGetCount_v2(u32 *count)
{
    char text[MAX_TEXT];
    int status = system_text("gpus", text, sizeof text);

    if (status == SUCCESS)
        *count = (u32)atoi(text);
    return status;
}

/* One GPU: what it is */

int nvmlDeviceGetHandleByIndex_v2(u32 index, struct gpu **gpu)
{
    char text[MAX_TEXT];
    int status;

    if (index >= MAX_GPUS)
        return INVALID_ARGUMENT;
    status = read_text(&gpus[index], "handle", text);
    if (status != SUCCESS && status != NOT_SUPPORTED)
        return status;
    *gpu = &gpus[index];
    return SUCCESS;
}

int nvmlDeviceGetIndex(struct gpu *gpu, u32 *index)
{
    *index = gpu->index;
    return SUCCESS;
}

int nvmlDeviceGetUUID(struct gpu *gpu, char *uuid, u32 length)
{
    return copy_gpu_text(gpu, "uuid", uuid, length);
}

int nvmlDeviceGetName(struct gpu *gpu, char *name, u32 length)
{
    return copy_gpu_text(gpu, "name", name, length);
}

struct pci {
    char bus_id_legacy[16];
    u32 domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

int nvmlDeviceGetPciInfo_v3(struct gpu *gpu, struct pci *pci)
{
    memset(pci, 0, sizeof *pci);
    pci->bus = gpu->index + 1;
    snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "0000:%02X:00.0", pci->bus);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", pci->bus);
    return SUCCESS;
}

/* One GPU: plain numbers */

#define ONE_NUMBER(function, what) \
    int function(struct gpu *gpu, u32 *number) { return read_u32(gpu, what, number); }

ONE_NUMBER(nvmlDeviceGetPowerUsage, "power")
ONE_NUMBER(nvmlDeviceGetEnforcedPowerLimit, "power_limit")
ONE_NUMBER(nvmlDeviceGetPowerManagementLimit, "power_limit")
ONE_NUMBER(nvmlDeviceGetPerformanceState, "performance_state")
ONE_NUMBER(nvmlDeviceGetPersistenceMode, "persistence_mode")
ONE_NUMBER(nvmlDeviceGetComputeMode, "compute_mode")
ONE_NUMBER(nvmlDeviceGetFanSpeed, "fan")
ONE_NUMBER(nvmlDeviceGetPcieReplayCounter, "pcie_replays")
ONE_NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pending")

int nvmlDeviceGetTotalEnergyConsumption(struct gpu *gpu, u64 *millijoules)
{
    return read_u64(gpu, "energy", millijoules);
}

struct utilization {
    u32 gpu, memory;
};

int nvmlDeviceGetUtilizationRates(struct gpu *gpu, struct utilization *rates)
{
    int status = read_u32(gpu, "utilization", &rates->gpu);

    return status == SUCCESS ? read_u32(gpu, "memory_utilization", &rates->memory) : status;
}

static int coder(struct gpu *gpu, const char *what, u32 *percent, u32 *period)
{
    *period = 167000;
    return read_u32(gpu, what, percent);
}

int nvmlDeviceGetEncoderUtilization(struct gpu *gpu, u32 *percent, u32 *period)
{
    return coder(gpu, "encoder", percent, period);
}

int nvmlDeviceGetDecoderUtilization(struct gpu *gpu, u32 *percent, u32 *period)
{
    return coder(gpu, "decoder", percent, period);
}

struct memory {
    u64 total, free, used;
};

/* The first version counts what the driver reserves as used. */
int nvmlDeviceGetMemoryInfo(struct gpu *gpu, struct memory *memory)
{
    u64 reserved = 0;
    int status = read_u64(gpu, "memory_total", &memory->total);

    if (status == SUCCESS)
        status = read_u64(gpu, "memory_used", &memory->used);
    if (status != SUCCESS)
        return status;
    read_u64(gpu, "memory_reserved", &reserved);
    memory->used += reserved;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

struct memory_v2 {
    u32 version;
    u64 total, reserved, free, used;
};

/* A driver that lacks the second version has no `memory_reserved` in its state. */
int nvmlDeviceGetMemoryInfo_v2(struct gpu *gpu, struct memory_v2 *memory)
{
    int status;

    if (memory->version != (sizeof *memory | 2u << 24))
        return VERSION_MISMATCH;
    status = read_u64(gpu, "memory_reserved", &memory->reserved);
    if (status == NOT_SUPPORTED)
        return FUNCTION_NOT_FOUND;
    if (status == SUCCESS)
        status = read_u64(gpu, "memory_total", &memory->total);
    if (status == SUCCESS)
        status = read_u64(gpu, "memory_used", &memory->used);
    if (status == SUCCESS)
        memory->free = memory->total - memory->reserved - memory->used;
    return status;
}

int nvmlDeviceGetBAR1MemoryInfo(struct gpu *gpu, struct memory *memory)
{
    int status = read_u64(gpu, "bar1_total", &memory->total);

    if (status == SUCCESS)
        status = read_u64(gpu, "bar1_used", &memory->used);
    if (status == SUCCESS)
        memory->free = memory->total - memory->used;
    return status;
}

int nvmlDeviceGetTemperature(struct gpu *gpu, u32 sensor, u32 *celsius)
{
    return sensor == 0 ? read_u32(gpu, "temperature", celsius) : INVALID_ARGUMENT;
}

struct temperature {
    u32 version, sensor;
    int celsius;
};

/* The call that is to take the place of the one above. */
int nvmlDeviceGetTemperatureV(struct gpu *gpu, struct temperature *temperature)
{
    if (temperature->version != (sizeof *temperature | 1u << 24))
        return VERSION_MISMATCH;
    return read_u32(gpu, "temperature_v", (u32 *)&temperature->celsius);
}

int nvmlDeviceGetTemperatureThreshold(struct gpu *gpu, u32 kind, u32 *celsius)
{
    static const char *const keys[] = {"shutdown_temperature", "slowdown_temperature"};

    return kind < 2 ? read_u32(gpu, keys[kind], celsius) : NOT_SUPPORTED;
}

struct margin {
    u32 version;
    int celsius;
};

int nvmlDeviceGetMarginTemperature(struct gpu *gpu, struct margin *margin)
{
    if (margin->version != (sizeof *margin | 1u << 24))
        return VERSION_MISMATCH;
    return read_u32(gpu, "temperature_margin", (u32 *)&margin->celsius);
}

int nvmlDeviceGetClockInfo(struct gpu *gpu, u32 kind, u32 *megahertz)
{
    static const char *const keys[] = {"sm_clock", "sm_clock", "memory_clock", "video_clock"};

    return kind < 4 ? read_u32(gpu, keys[kind], megahertz) : INVALID_ARGUMENT;
}

int nvmlDeviceGetMaxClockInfo(struct gpu *gpu, u32 kind, u32 *megahertz)
{
    static const char *const keys[] = {"sm_clock_limit", "sm_clock_limit", "memory_clock_limit"};

    return kind < 3 ? read_u32(gpu, keys[kind], megahertz) : INVALID_ARGUMENT;
}

/* A real driver measures for 20 ms, and so does this one where the state says so. */
int nvmlDeviceGetPcieThroughput(struct gpu *gpu, u32 direction, u32 *kilobytes)
{
    u32 wait = 0;

    read_u32(gpu, "pcie_wait_ms", &wait);
    sleep_ms(wait);
    return read_u32(gpu, direction ? "pcie_received" : "pcie_sent", kilobytes);
}

int nvmlDeviceGetNvLinkState(struct gpu *gpu, u32 link, u32 *active)
{
    u32 links = 0;
    int status = read_u32(gpu, "nvlinks", &links);

    if (status == SUCCESS && link >= links)
        return INVALID_ARGUMENT;
    *active = 1;
    return status;
}

/* One GPU: health */

#define ONE_MASK(function, what) \
    int function(struct gpu *gpu, u64 *mask) { return read_u64(gpu, what, mask); }

ONE_MASK(nvmlDeviceGetCurrentClocksEventReasons, "clock_events")
ONE_MASK(nvmlDeviceGetSupportedClocksEventReasons, "clock_events_supported")
ONE_MASK(nvmlDeviceGetCurrentClocksThrottleReasons, "throttle_reasons")
ONE_MASK(nvmlDeviceGetSupportedClocksThrottleReasons, "throttle_reasons_supported")

int nvmlDeviceGetEccMode(struct gpu *gpu, u32 *current, u32 *pending)
{
    int status = read_u32(gpu, "ecc", current);

    *pending = *current;
    return status;
}

int nvmlDeviceGetTotalEccErrors(struct gpu *gpu, u32 error, u32 lifetime, u64 *count)
{
    char key[MAX_TEXT];

    snprintf(key, sizeof key, "ecc_%s_%s", error ? "uncorrected" : "corrected",
             lifetime ? "lifetime" : "volatile");
    return read_u64(gpu, key, count);
}

int nvmlDeviceGetRetiredPages(struct gpu *gpu, u32 cause, u32 *count, u64 *addresses)
{
    u32 room = *count;
    int status = read_u32(gpu, cause ? "retired_double_bit" : "retired_single_bit", count);

    if (status != SUCCESS)
        return status;
    if (*count > room || (!addresses && *count))
        return INSUFFICIENT_SIZE;
    for (u32 i = 0; i < *count; i++)
        addresses[i] = 0x1000 * (i + 1);
    return SUCCESS;
}

int nvmlDeviceGetRemappedRows(struct gpu *gpu, u32 *corrected, u32 *uncorrected, u32 *pending,
                              u32 *failed)
{
    int status = read_u32(gpu, "remapped_corrected", corrected);

    if (status == SUCCESS)
        status = read_u32(gpu, "remapped_uncorrected", uncorrected);
    if (status != SUCCESS)
        return status;
    *pending = *failed = 0;
    read_u32(gpu, "remap_pending", pending);
    read_u32(gpu, "remap_failed", failed);
    return SUCCESS;
}

/* One GPU: field values */

union value {
    double floating;
    u32 small;
    u64 large;
};

struct field {
    u32 id, scope;
    long long timestamp, latency;
    u32 type;
    int status;
    union value value;
};

enum { MEMORY_TEMPERATURE = 82, TYPE_SMALL = 1, TYPE_LARGE = 3 };

int nvmlDeviceGetFieldValues(struct gpu *gpu, int count, struct field *fields)
{
    int status = check_alive();

    for (int i = 0; status == SUCCESS && i < count; i++) {
        char key[MAX_TEXT];

        snprintf(key, sizeof key, "field.%u", fields[i].id);
        fields[i].value.large = 0;
        fields[i].type = fields[i].id == MEMORY_TEMPERATURE ? TYPE_SMALL : TYPE_LARGE;
        fields[i].status = fields[i].type == TYPE_SMALL
                               ? read_u32(gpu, key, &fields[i].value.small)
                               : read_u64(gpu, key, &fields[i].value.large);
    }
    return status;
}

/* One GPU: processes */

struct process {
    u32 pid;
    u64 bytes;
    u32 gpu_instance, compute_instance;
};

static const u64 UNKNOWN_BYTES = ~0ULL;

/* `4711`, or `@FILE` where the file holds the number. */
static u32 read_pid(const char *text)
{
    u32 pid = 0;
    FILE *file;

    if (text[0] != '@')
        return (u32)strtoul(text, NULL, 10);
    file = fopen(text + 1, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%u", &pid) != 1)
        pid = 0;
    fclose(file);
    return pid;
}

/* The processes of a GPU, and what each uses of the SMs: -1 where that is not known. */
static int read_processes(struct gpu *gpu, const char *what, struct process *found, int *use,
                          u32 *count)
{
    char text[MAX_TEXT], *rest = NULL;
    int status = read_text(gpu, what, text);

    *count = 0;
    if (status != SUCCESS || strcmp(text, "none") == 0)
        return status;
    for (char *word = strtok_r(text, " ", &rest); word && *count < MAX_PROCESSES;
         word = strtok_r(NULL, " ", &rest)) {
        char *bytes = strchr(word, ':'), *percent = bytes ? strchr(bytes + 1, ':') : NULL;

        if (!bytes)
            continue;
        *bytes++ = '\0';
        found[*count] = (struct process){read_pid(word), strtoull(bytes, NULL, 10), ~0u, ~0u};
        if (bytes[0] == '-')
            found[*count].bytes = UNKNOWN_BYTES;
        use[*count] = percent ? atoi(percent + 1) : -1;
        *count += found[*count].pid != 0;
    }
    return SUCCESS;
}

static int list_processes(struct gpu *gpu, const char *what, u32 *count, struct process *out)
{
    struct process found[MAX_PROCESSES];
    int use[MAX_PROCESSES];
    u32 room = *count;
    int status = read_processes(gpu, what, found, use, count);

    if (status != SUCCESS || *count == 0)
        return status;
    if (!out || *count > room)
        return INSUFFICIENT_SIZE;
    memcpy(out, found, *count * sizeof *out);
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct gpu *gpu, u32 *count, struct process *out)
{
    return list_processes(gpu, "processes", count, out);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct gpu *gpu, u32 *count, struct process *out)
{
    return list_processes(gpu, "graphics", count, out);
}

struct process_use {
    u32 pid;
    u64 timestamp;
    u32 sm, memory, encoder, decoder;
};

int nvmlDeviceGetProcessUtilization(struct gpu *gpu, struct process_use *out, u32 *count, u64 since)
{
    struct process found[MAX_PROCESSES];
    int use[MAX_PROCESSES];
    u32 room = *count, known = 0;
    int status = read_processes(gpu, "processes", found, use, count);

    (void)since;
    if (status != SUCCESS)
        return status;
    if (*count == 0)
        return NOT_FOUND;
    for (u32 i = 0; i < *count; i++)
        known += use[i] >= 0;
    if (known < *count)
        return NOT_SUPPORTED;
    if (!out || *count > room)
        return INSUFFICIENT_SIZE;
    for (u32 i = 0; i < *count; i++)
        out[i] = (struct process_use){
            .pid = found[i].pid, .timestamp = (u64)(seconds_now() * 1e6), .sm = (u32)use[i]};
    return SUCCESS;
}

/* One GPU: MIG */

int nvmlDeviceGetMigMode(struct gpu *gpu, u32 *current, u32 *pending)
{
    int status = read_u32(gpu, "mig", current);

    *pending = *current;
    return status;
}

int nvmlDeviceGetMaxMigDeviceCount(struct gpu *gpu, u32 *count)
{
    (void)gpu;
    *count = MAX_MIG;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct gpu *gpu, u32 place, struct gpu **mig)
{
    char text[MAX_TEXT];
    int status;

    if (place >= MAX_MIG)
        return INVALID_ARGUMENT;
    status = read_text(&migs[gpu->index][place], "uuid", text);
    *mig = &migs[gpu->index][place];
    return status == NOT_SUPPORTED ? NOT_FOUND : status;
}

int nvmlDeviceGetGpuInstanceId(struct gpu *gpu, u32 *id)
{
    return read_u32(gpu, "gpu_instance", id);
}

int nvmlDeviceGetComputeInstanceId(struct gpu *gpu, u32 *id)
{
    return read_u32(gpu, "compute_instance", id);
}

/* Events */

enum { XID = 8 };

struct event {
    struct gpu *gpu;
    u64 type, data;
    u32 gpu_instance, compute_instance;
};

static int event_set;

int nvmlEventSetCreate(int **set)
{
    *set = &event_set;
    return check_alive();
}

int nvmlEventSetFree(int *set)
{
    (void)set;
    return SUCCESS;
}

int nvmlDeviceGetSupportedEventTypes(struct gpu *gpu, u64 *types)
{
    return read_u64(gpu, "events", types);
}

int nvmlDeviceRegisterEvents(struct gpu *gpu, u64 types, int *set)
{
    (void)gpu, (void)types, (void)set;
    return SUCCESS;
}

int nvmlEventSetWait_v2(int *set, struct event *event, u32 timeout_ms)
{
    enum { STEP_MS = 100 };
    static u32 told;
    char text[MAX_TEXT];
    u32 number, index, code;

    (void)set;
    for (u32 waited = 0;; waited += STEP_MS) {
        if (!started)
            return UNINITIALIZED;
        if (look_up("xid", text) == SUCCESS &&
            sscanf(text, "%u %u %u", &number, &index, &code) == 3 && number > told) {
            told = number;
            *event = (struct event){&gpus[index % MAX_GPUS], XID, code, ~0u, ~0u};
            return SUCCESS;
        }
        if (waited >= timeout_ms)
            return TIMEOUT;
        sleep_ms(STEP_MS);
    }
}

/* GPM: a sample only knows when it was taken and of what */

struct gpm_sample {
    struct gpu *gpu;
    double taken;
};

struct gpm_figure {
    u32 id;
    int status;
    double value;
    const char *names[3];
};

/* How many figures there is room for depends on the version of the binding. */
struct gpm_request {
    u32 version, count;
    struct gpm_sample *before, *after;
    struct gpm_figure figures[];
};

struct gpm_support {
    u32 version, supported;
};

int nvmlGpmQueryDeviceSupport(struct gpu *gpu, struct gpm_support *support)
{
    int status = read_u32(gpu, "gpm", &support->supported);

    if (status == NOT_SUPPORTED)
        support->supported = 0;
    return status == NOT_SUPPORTED ? SUCCESS : status;
}

int nvmlGpmSampleAlloc(struct gpm_sample **sample)
{
    *sample = calloc(1, sizeof **sample);
    return check_alive();
}

int nvmlGpmSampleFree(struct gpm_sample *sample)
{
    free(sample);
    return SUCCESS;
}

int nvmlGpmSampleGet(struct gpu *gpu, struct gpm_sample *sample)
{
    *sample = (struct gpm_sample){gpu, seconds_now()};
    return check_alive();
}

int nvmlGpmMetricsGet(struct gpm_request *request)
{
    if (request->version != 1)
        return VERSION_MISMATCH;
    if (request->before->taken <= 0 || request->after->taken <= request->before->taken)
        return INVALID_ARGUMENT;
    for (u32 i = 0; i < request->count; i++) {
        struct gpm_figure *figure = &request->figures[i];
        char key[MAX_TEXT];

        snprintf(key, sizeof key, "gpm.%u", figure->id);
        figure->status = read_double(request->after->gpu, key, &figure->value);
    }
    return check_alive();
}
