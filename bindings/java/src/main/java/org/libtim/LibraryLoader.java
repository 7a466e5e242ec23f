package org.libtim;

import java.nio.file.Path;

/** Loads libtim with the foreign-function API where there is one, else with JNA, or as {@code tim.ffi} says. */
final class LibraryLoader {
    private LibraryLoader() {}

    /** Throws errors, not exceptions: those a static initializer passes on as they are. */
    static Library load() {
        String ffi = System.getProperty("tim.ffi", FfmLibrary.isAvailable() ? "ffm" : "jna");
        if (!ffi.equals("ffm") && !ffi.equals("jna")) {
            throw new UnsatisfiedLinkError("tim.ffi is \"" + ffi + "\": expected \"ffm\" or \"jna\"");
        }
        if (ffi.equals("ffm") && !FfmLibrary.isAvailable()) {
            throw new UnsatisfiedLinkError("tim.ffi is \"ffm\", which needs Java 22 or later and a jar built with one; "
                    + "this is Java " + Runtime.version().feature());
        }
        String path = System.getProperty("tim.library");
        Path file = path == null ? null : Path.of(path).toAbsolutePath();
        try {
            return ffi.equals("ffm") ? FfmLibrary.load(file) : new JnaLibrary(file);
        } catch (NoClassDefFoundError cause) {
            throw error("JNA is not on the class path: add net.java.dev.jna:jna, or run Java 22 or later", cause);
        } catch (IllegalCallerException cause) {
            throw error("native access is denied: run Java with --enable-native-access=ALL-UNNAMED", cause);
        } catch (IllegalArgumentException | UnsatisfiedLinkError cause) {
            String where = file == null ? "the system's folders" : file.toString();
            throw error("cannot load libtim from " + where + ": install it, or set tim.library to its path", cause);
        }
    }

    private static UnsatisfiedLinkError error(String message, Throwable cause) {
        UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
        error.initCause(cause);
        return error;
    }
}
