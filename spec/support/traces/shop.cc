#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <memory>
#include <pthread.h>
#include <string>
#include <vector>

static void *work(void *) {
    void *a = malloc(40);
    for (int i = 1; i < 4; i++) a = realloc(a, 1000u * i);
    free(a);
    return nullptr;
}

int main() {
    setvbuf(stdout, nullptr, _IONBF, 0);
    std::printf("opening\n");
    char *name = static_cast<char *>(malloc(24));
    int *shelf = static_cast<int *>(calloc(3, 10));
    name = static_cast<char *>(realloc(name, 100));
    free(shelf);
    void *page = memalign(128, 50), *row = aligned_alloc(32, 96), *aisle = nullptr;
    if (posix_memalign(&aisle, 64, 200)) return 1;
    std::printf("no line end here ");
    void *nothing = malloc(0);
    free(nothing);
    std::printf("too much: %p\n", malloc(size_t{1} << 46));
    void *gone = malloc(77);
    if (realloc(gone, 0)) return 1;
    pthread_t one, two;
    pthread_create(&one, nullptr, work, nullptr);
    pthread_create(&two, nullptr, work, nullptr);
    pthread_join(one, nullptr);
    pthread_join(two, nullptr);
    struct alignas(64) tray { char bytes[128]; };
    auto *t = new tray;
    std::vector<int> *list = new std::vector<int>(100);
    int *many = new int[10];
    std::printf("%d %d\n", (*list)[3], t->bytes[0] & 0);
    delete[] many;
    delete list;
    delete t;
    free(page);
    free(row);
    free(aisle);
    free(name);
    (void)malloc(5); /* never freed */
    return 0;
}
