package org.libtim;

import java.nio.file.Path;

/** Stands in, before Java 22, for the class of this name in src/main/java22, which calls libtim. */
final class FfmLibrary {
    private FfmLibrary() {}

    static boolean isAvailable() {
        return false;
    }

    static Library load(Path file) {
        throw new UnsupportedOperationException();
    }
}
