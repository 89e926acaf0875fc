/* A libnvidia-ml.so.1 without a GPU, for tests: the real pynvml loads it and asks it.
 *
 * What it answers stands in the text file named by FAKE_NVML_STATE, which is read anew at every
 * call, so that a test can change the state under a running exporter. One answer a line:
 *
 *     driver 580.95.05
 *     gpus 2
 *     gpu.0.name NVIDIA H100 80GB HBM3
 *     gpu.0.power 350000
 *     gpu.0.energy !3          this call fails with NVML's error 3
 *     gpu.1 !15                every call about GPU 1 fails with error 15
 *     init !9                  NVML itself does not start
 *
 * Numbers are in NVML's units: percent, bytes, celsius, milliwatts, millijoules. What is not in
 * the file is not supported. Layouts of structs and codes of errors follow nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    INSUFFICIENT_SIZE = 7,
    FUNCTION_NOT_FOUND = 13,
    VERSION_MISMATCH = 25,
};

#define MAX_GPUS 16
#define MAX_TEXT 128

struct gpu {
    unsigned int index;
};

static struct gpu gpus[MAX_GPUS];
static int started;

/* The text after `key ` in the state file, or the error that stands there. */
static int read_text(const char *key, char text[MAX_TEXT])
{
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[2 * MAX_TEXT];
    size_t length = strlen(key);
    int status = NOT_SUPPORTED;

    if (!file)
        return NOT_SUPPORTED;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) != 0 || line[length] != ' ')
            continue;
        line[strcspn(line, "\n")] = '\0';
        if (line[length + 1] == '!') {
            status = atoi(line + length + 2);
        } else {
            snprintf(text, MAX_TEXT, "%.*s", MAX_TEXT - 1, line + length + 1);
            status = SUCCESS;
        }
        break;
    }
    fclose(file);
    return status;
}

/* The text of `gpu.INDEX.what`, unless the whole GPU fails. */
static int read_gpu_text(const struct gpu *gpu, const char *what, char text[MAX_TEXT])
{
    char key[MAX_TEXT];
    int status;

    if (!started)
        return UNINITIALIZED;
    snprintf(key, sizeof key, "gpu.%u", gpu->index);
    status = read_text(key, text);
    if (status != NOT_SUPPORTED)
        return status;
    snprintf(key, sizeof key, "gpu.%u.%s", gpu->index, what);
    return read_text(key, text);
}

static int read_gpu_number(const struct gpu *gpu, const char *what, unsigned long long *number)
{
    char text[MAX_TEXT];
    int status = read_gpu_text(gpu, what, text);

    if (status == SUCCESS)
        *number = strtoull(text, NULL, 10);
    return status;
}

static int read_gpu_uint(const struct gpu *gpu, const char *what, unsigned int *number)
{
    unsigned long long wide = 0;
    int status = read_gpu_number(gpu, what, &wide);

    if (status == SUCCESS)
        *number = (unsigned int)wide;
    return status;
}

static int copy_text(const char *text, char *out, unsigned int size)
{
    if (strlen(text) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(out, text);
    return SUCCESS;
}

/* NVML as a whole */

int nvmlInitWithFlags(unsigned int flags)
{
    char text[MAX_TEXT];
    int status = read_text("init", text);

    (void)flags;
    if (status != SUCCESS && status != NOT_SUPPORTED)
        return status;
    for (unsigned int i = 0; i < MAX_GPUS; i++)
        gpus[i].index = i;
    started = 1;
    return SUCCESS;
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

int nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    char text[MAX_TEXT];
    int status = started ? read_text("driver", text) : UNINITIALIZED;

    return status == SUCCESS ? copy_text(text, version, length) : status;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    char text[MAX_TEXT];
    int status = started ? read_text("gpus", text) : UNINITIALIZED;

    if (status == SUCCESS)
        *count = (unsigned int)atoi(text);
    return status;
}

/* One GPU */

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct gpu **gpu)
{
    if (index >= MAX_GPUS)
        return INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return SUCCESS;
}

int nvmlDeviceGetUUID(struct gpu *gpu, char *uuid, unsigned int length)
{
    char text[MAX_TEXT];
    int status = read_gpu_text(gpu, "uuid", text);

    return status == SUCCESS ? copy_text(text, uuid, length) : status;
}

int nvmlDeviceGetName(struct gpu *gpu, char *name, unsigned int length)
{
    char text[MAX_TEXT];
    int status = read_gpu_text(gpu, "name", text);

    return status == SUCCESS ? copy_text(text, name, length) : status;
}

struct utilization {
    unsigned int gpu, memory;
};

int nvmlDeviceGetUtilizationRates(struct gpu *gpu, struct utilization *rates)
{
    rates->memory = 0;
    return read_gpu_uint(gpu, "utilization", &rates->gpu);
}

struct memory {
    unsigned long long total, free, used;
};

/* Without `memory_reserved` in the state the second version is one that this driver lacks. */
int nvmlDeviceGetMemoryInfo(struct gpu *gpu, struct memory *memory)
{
    unsigned long long reserved = 0;
    int status = read_gpu_number(gpu, "memory_total", &memory->total);

    if (status == SUCCESS)
        status = read_gpu_number(gpu, "memory_used", &memory->used);
    if (status != SUCCESS)
        return status;
    read_gpu_number(gpu, "memory_reserved", &reserved);
    memory->used += reserved;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

struct memory_v2 {
    unsigned int version;
    unsigned long long total, reserved, free, used;
};

int nvmlDeviceGetMemoryInfo_v2(struct gpu *gpu, struct memory_v2 *memory)
{
    int status;

    if (memory->version != (sizeof *memory | 2u << 24))
        return VERSION_MISMATCH;
    status = read_gpu_number(gpu, "memory_reserved", &memory->reserved);
    if (status == NOT_SUPPORTED)
        return FUNCTION_NOT_FOUND;
    if (status == SUCCESS)
        status = read_gpu_number(gpu, "memory_total", &memory->total);
    if (status == SUCCESS)
        status = read_gpu_number(gpu, "memory_used", &memory->used);
    if (status == SUCCESS)
        memory->free = memory->total - memory->reserved - memory->used;
    return status;
}

int nvmlDeviceGetTemperature(struct gpu *gpu, unsigned int sensor, unsigned int *celsius)
{
    return sensor == 0 ? read_gpu_uint(gpu, "temperature", celsius) : INVALID_ARGUMENT;
}

struct temperature {
    unsigned int version, sensor;
    int celsius;
};

/* The call that is to take the place of the one above. */
int nvmlDeviceGetTemperatureV(struct gpu *gpu, struct temperature *temperature)
{
    if (temperature->version != (sizeof *temperature | 1u << 24))
        return VERSION_MISMATCH;
    return read_gpu_uint(gpu, "temperature_v", (unsigned int *)&temperature->celsius);
}

int nvmlDeviceGetPowerUsage(struct gpu *gpu, unsigned int *milliwatts)
{
    return read_gpu_uint(gpu, "power", milliwatts);
}

/* `hang` in the state blocks this call for as long as it stands there. */
int nvmlDeviceGetTotalEnergyConsumption(struct gpu *gpu, unsigned long long *millijoules)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    char text[MAX_TEXT];

    while (read_text("hang", text) == SUCCESS)
        nanosleep(&pause, NULL);
    return read_gpu_number(gpu, "energy", millijoules);
}
