package org.libtim;

import static java.lang.foreign.MemoryLayout.PathElement.groupElement;
import static java.lang.foreign.MemorySegment.NULL;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/** libtim, called with the foreign-function API. */
@SuppressWarnings("restricted") // Calling C is what this class is for.
final class FfmLibrary implements Library {
    /** {@code tim_event} of tim.h. */
    private static final StructLayout TIM_EVENT = MemoryLayout.structLayout(
            JAVA_INT.withName("size"),
            JAVA_INT.withName("type"),
            JAVA_INT.withName("code"),
            JAVA_INT.withName("connection_status"),
            JAVA_INT.withName("login_status"),
            JAVA_INT.withName("is_retryable"),
            JAVA_LONG.withName("login_id"),
            JAVA_LONG.withName("seconds_left"),
            ADDRESS.withName("user_data"),
            ADDRESS.withName("message"));

    private final SymbolLookup library;
    private final MethodHandle create;
    private final MethodHandle destroy;
    private final MethodHandle login;
    private final MethodHandle logout;
    private final MethodHandle renewUserSig;
    private final MethodHandle notify;
    private final MethodHandle pollEvent;
    private final MethodHandle loginStatus;
    private final MethodHandle connectionStatus;
    private final MethodHandle loginUser;
    private final MethodHandle kickInfo;
    private final MethodHandle lastError;
    private final MethodHandle errorName;
    private final MethodHandle errorMessage;
    private final MethodHandle isRetryable;

    private FfmLibrary(SymbolLookup library) {
        this.library = library;
        create = function("tim_client_create", JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG);
        destroy = function("tim_client_destroy", JAVA_INT, JAVA_LONG, JAVA_INT);
        login = function("tim_login", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
        logout = function("tim_logout", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
        renewUserSig = function("tim_renew_user_sig", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS);
        notify = function("tim_notify", JAVA_INT, JAVA_LONG, JAVA_INT);
        pollEvent = function("tim_poll_event", JAVA_INT, JAVA_LONG, JAVA_INT, ADDRESS);
        loginStatus = function("tim_get_login_status", JAVA_INT, JAVA_LONG);
        connectionStatus = function("tim_get_connection_status", JAVA_INT, JAVA_LONG);
        loginUser = function("tim_get_login_user", JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
        kickInfo = function("tim_get_kick_info", JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
        lastError = function("tim_get_last_error", JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
        errorName = function("tim_error_name", ADDRESS, JAVA_INT);
        errorMessage = function("tim_error_message", ADDRESS, JAVA_INT);
        isRetryable = function("tim_error_is_retryable", JAVA_INT, JAVA_INT);
    }

    static boolean isAvailable() {
        return true;
    }

    /** @param file the library; null searches the system's folders */
    static Library load(Path file) {
        return new FfmLibrary(file == null
                ? SymbolLookup.libraryLookup(System.mapLibraryName("tim"), Arena.global())
                : SymbolLookup.libraryLookup(file, Arena.global()));
    }

    private MethodHandle function(String name, MemoryLayout result, MemoryLayout... parameters) {
        MemorySegment address = library.find(name).orElseThrow(() -> new UnsatisfiedLinkError(name));
        return Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(result, parameters));
    }

    /** A call through a method handle, which declares everything and throws nothing. */
    private interface Call<T> {
        T run() throws Throwable;
    }

    private static <T> T call(Call<T> call) {
        try {
            return call.run();
        } catch (RuntimeException | Error thrown) {
            throw thrown;
        } catch (Throwable thrown) {
            throw new AssertionError(thrown);
        }
    }

    @Override
    public long create(String config) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(config);
            MemorySegment handle = arena.allocate(JAVA_LONG);
            MemorySegment error = arena.allocate(512);
            int code = call(() -> (int) create.invokeExact(text, handle, error, error.byteSize()));
            if (code != OK) throw new TimException(code, error.getString(0));
            return handle.get(JAVA_LONG, 0);
        }
    }

    @Override
    public int destroy(long client) {
        return call(() -> (int) destroy.invokeExact(client, 0));
    }

    @Override
    public int login(long client, String userId, String userSig, long number) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment user = arena.allocateFrom(userId);
            MemorySegment sig = arena.allocateFrom(userSig);
            return call(() -> (int) login.invokeExact(client, user, sig, NULL, MemorySegment.ofAddress(number)));
        }
    }

    @Override
    public int logout(long client, long number) {
        return call(() -> (int) logout.invokeExact(client, NULL, MemorySegment.ofAddress(number)));
    }

    @Override
    public int renewUserSig(long client, String userSig, long number) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment sig = arena.allocateFrom(userSig);
            return call(() -> (int) renewUserSig.invokeExact(client, sig, NULL, MemorySegment.ofAddress(number)));
        }
    }

    @Override
    public int notify(long client, int hint) {
        return call(() -> (int) notify.invokeExact(client, hint));
    }

    @Override
    public Event poll(long client) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment event = arena.allocate(TIM_EVENT);
            event.set(JAVA_INT, offset("size"), (int) TIM_EVENT.byteSize());
            if (call(() -> (int) pollEvent.invokeExact(client, -1, event)) != OK) return null;
            return new Event(
                    event.get(JAVA_INT, offset("type")),
                    event.get(JAVA_INT, offset("code")),
                    event.get(JAVA_INT, offset("connection_status")),
                    event.get(JAVA_LONG, offset("login_id")),
                    event.get(JAVA_LONG, offset("seconds_left")),
                    event.get(ADDRESS, offset("user_data")).address(),
                    text(event.get(ADDRESS, offset("message"))));
        }
    }

    private static long offset(String field) {
        return TIM_EVENT.byteOffset(groupElement(field));
    }

    @Override
    public int loginStatus(long client) {
        return call(() -> (int) loginStatus.invokeExact(client));
    }

    @Override
    public int connectionStatus(long client) {
        return call(() -> (int) connectionStatus.invokeExact(client));
    }

    @Override
    public String loginUser(long client) {
        return text(loginUser, client);
    }

    @Override
    public String kickInfo(long client) {
        return text(kickInfo, client);
    }

    @Override
    public String lastError(long client) {
        return text(lastError, client);
    }

    @Override
    public String errorName(int code) {
        return text(call(() -> (MemorySegment) errorName.invokeExact(code)));
    }

    @Override
    public String errorMessage(int code) {
        return text(call(() -> (MemorySegment) errorMessage.invokeExact(code)));
    }

    @Override
    public boolean isRetryable(int code) {
        return call(() -> (int) isRetryable.invokeExact(code)) == 1;
    }

    /** What a function copies out. */
    private static String text(MethodHandle getter, long client) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment length = arena.allocate(JAVA_LONG);
            MemorySegment buffer = arena.allocate(256);
            while (true) {
                MemorySegment text = buffer;
                int code = call(() -> (int) getter.invokeExact(client, text, text.byteSize(), length));
                if (code != BUFFER_TOO_SMALL) return code == OK ? text.getString(0) : "";
                buffer = arena.allocate(length.get(JAVA_LONG, 0) + 1);
            }
        }
    }

    /** A static text of the library. */
    private static String text(MemorySegment text) {
        return text.equals(NULL) ? "" : text.reinterpret(Long.MAX_VALUE).getString(0);
    }
}
