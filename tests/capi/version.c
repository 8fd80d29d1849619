/* Prints the version of the library that it runs with, and of the header it was built with. */

#include <stdio.h>

#include <stayline.h>

int main(void) {
    stayline_view version = stayline_version();
    printf("%.*s %s %u\n", (int)version.len, version.data, STAYLINE_VERSION,
           (unsigned)stayline_abi_version());
    return stayline_abi_version() == STAYLINE_ABI_VERSION ? 0 : 1;
}
