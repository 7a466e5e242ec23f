package org.libtim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** By which of Java's ways libtim is called, and what is said where it cannot be. */
class LibraryLoaderIT {
    private static final int JAVA = Runtime.version().feature();
    private static final boolean JAVA_HAS_FFM = JAVA >= 22;
    private static final String LIBRARY = "-Dtim.library=" + System.getProperty("tim.library");
    private static final String FFI = "-Dtim.ffi=" + System.getProperty("tim.ffi");

    /** Prints the class that calls libtim, and a text that it got from there. */
    static final class Asks {
        public static void main(String[] args) {
            System.out.println(Library.LOADED.getClass().getSimpleName() + " " + Library.LOADED.errorName(0));
        }
    }

    private static JavaProgram program(String... options) {
        return new JavaProgram(options).withNativeAccess();
    }

    private static void loads(String wanted, JavaProgram program) throws Exception {
        int status = program.run(Asks.class);
        assertEquals(wanted + " TIM_OK", program.output());
        assertEquals(0, status);
    }

    private static void fails(String wanted, JavaProgram program) throws Exception {
        assertNotEquals(0, program.run(Asks.class));
        String begin = "Exception in thread \"main\" java.lang.UnsatisfiedLinkError: " + wanted;
        assertTrue(program.output().startsWith(begin), program.output());
    }

    @Test
    void theForeignFunctionApiIsUsedWhereJavaHasIt() throws Exception {
        loads(JAVA_HAS_FFM ? "FfmLibrary" : "JnaLibrary", program(LIBRARY));
    }

    @Test
    void aPropertyChooses() throws Exception {
        loads("JnaLibrary", program(LIBRARY, "-Dtim.ffi=jna"));
        JavaProgram ffm = program(LIBRARY, "-Dtim.ffi=ffm");
        if (JAVA_HAS_FFM) loads("FfmLibrary", ffm);
        else fails("tim.ffi is \"ffm\", which needs Java 22 or later", ffm);
        fails("tim.ffi is \"jni\": expected \"ffm\" or \"jna\"", program(LIBRARY, "-Dtim.ffi=jni"));
    }

    @Test
    void onlyJnaNeedsJna() throws Exception {
        if (JAVA_HAS_FFM) loads("FfmLibrary", program(LIBRARY).withoutJna());
        else fails("JNA is not on the class path: add net.java.dev.jna:jna", program(LIBRARY).withoutJna());
        fails("JNA is not on the class path: add", program(LIBRARY, "-Dtim.ffi=jna").withoutJna());
    }

    @Test
    void aLibraryThatCannotBeLoadedIsNamed() throws Exception {
        String nowhere = "-Dtim.library=/nowhere/libtim.so";
        fails("cannot load libtim from /nowhere/libtim.so: install it, or set", program(FFI, nowhere));
        // Earlier Javas deny nobody.
        if (JAVA >= 24) {
            JavaProgram denied = new JavaProgram(LIBRARY, "--illegal-native-access=deny");
            fails("native access is denied: run Java with --enable-native-access", denied);
        }
    }
}
