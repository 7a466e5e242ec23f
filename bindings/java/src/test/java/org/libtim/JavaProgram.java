package org.libtim;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A program run by the Java that runs the tests, with their class path. */
final class JavaProgram {
    private final List<String> options;
    private String classPath = System.getProperty("java.class.path");
    private String output;

    JavaProgram(String... options) {
        this.options = new ArrayList<>(List.of(options));
    }

    /** Since Java 22 there are warnings without this. */
    JavaProgram withNativeAccess() {
        if (Runtime.version().feature() >= 22) options.add("--enable-native-access=ALL-UNNAMED");
        return this;
    }

    JavaProgram withoutJna() {
        List<String> entries = new ArrayList<>(List.of(classPath.split(File.pathSeparator)));
        if (!entries.removeIf(entry -> entry.contains("/jna-"))) throw new AssertionError("no JNA in " + classPath);
        classPath = String.join(File.pathSeparator, entries);
        return this;
    }

    /** Returns its exit status. */
    int run(Class<?> main, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(options);
        command.addAll(List.of("-cp", classPath, main.getName()));
        command.addAll(List.of(arguments));
        Path printed = Files.createTempFile("printed", ".txt");
        try {
            ProcessBuilder builder = new ProcessBuilder(command);
            Process process = builder.redirectErrorStream(true).redirectOutput(printed.toFile()).start();
            boolean ended = process.waitFor(60, TimeUnit.SECONDS);
            process.destroyForcibly();
            output = Files.readString(printed).trim();
            if (!ended) throw new AssertionError("it did not end: " + output);
            return process.exitValue();
        } finally {
            Files.delete(printed);
        }
    }

    /** What it printed to both streams. */
    String output() {
        return output;
    }
}
