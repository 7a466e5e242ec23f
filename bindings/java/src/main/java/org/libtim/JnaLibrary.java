package org.libtim;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.LongByReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** libtim, called with JNA. */
final class JnaLibrary implements Library {
    /** @param file the library; null searches the system's folders */
    JnaLibrary(Path file) {
        Native.register(JnaLibrary.class, file == null ? "tim" : file.toString());
    }

    /** {@code tim_event} of tim.h. */
    @FieldOrder({
        "size", "type", "code", "connectionStatus", "loginStatus", "isRetryable", "loginId",
        "secondsLeft", "userData", "message"
    })
    public static class TimEvent extends Structure {
        public int size;
        public int type;
        public int code;
        public int connectionStatus;
        public int loginStatus;
        public int isRetryable;
        public long loginId;
        public long secondsLeft;
        public Pointer userData;
        public Pointer message;
    }

    private static native int tim_client_create(byte[] config, LongByReference out, byte[] error, long capacity);

    private static native int tim_client_destroy(long client, int timeoutMs);

    private static native int tim_login(long client, byte[] userId, byte[] userSig, Pointer callback, Pointer userData);

    private static native int tim_logout(long client, Pointer callback, Pointer userData);

    private static native int tim_renew_user_sig(long client, byte[] userSig, Pointer callback, Pointer userData);

    private static native int tim_notify(long client, int hint);

    private static native int tim_poll_event(long client, int timeoutMs, TimEvent event);

    private static native int tim_get_login_status(long client);

    private static native int tim_get_connection_status(long client);

    private static native int tim_get_login_user(long client, byte[] buffer, long capacity, LongByReference length);

    private static native int tim_get_kick_info(long client, byte[] buffer, long capacity, LongByReference length);

    private static native int tim_get_last_error(long client, byte[] buffer, long capacity, LongByReference length);

    private static native Pointer tim_error_name(int code);

    private static native Pointer tim_error_message(int code);

    private static native int tim_error_is_retryable(int code);

    @Override
    public long create(String config) {
        LongByReference handle = new LongByReference();
        byte[] error = new byte[512];
        int code = tim_client_create(terminated(config), handle, error, error.length);
        if (code != OK) throw new TimException(code, Native.toString(error, "UTF-8"));
        return handle.getValue();
    }

    @Override
    public int destroy(long client) {
        return tim_client_destroy(client, 0);
    }

    @Override
    public int login(long client, String userId, String userSig, long number) {
        return tim_login(client, terminated(userId), terminated(userSig), null, new Pointer(number));
    }

    @Override
    public int logout(long client, long number) {
        return tim_logout(client, null, new Pointer(number));
    }

    @Override
    public int renewUserSig(long client, String userSig, long number) {
        return tim_renew_user_sig(client, terminated(userSig), null, new Pointer(number));
    }

    @Override
    public int notify(long client, int hint) {
        return tim_notify(client, hint);
    }

    @Override
    public Event poll(long client) {
        TimEvent event = new TimEvent();
        event.size = event.size();
        if (tim_poll_event(client, -1, event) != OK) return null;
        return new Event(
                event.type,
                event.code,
                event.connectionStatus,
                event.loginId,
                event.secondsLeft,
                Pointer.nativeValue(event.userData),
                text(event.message));
    }

    @Override
    public int loginStatus(long client) {
        return tim_get_login_status(client);
    }

    @Override
    public int connectionStatus(long client) {
        return tim_get_connection_status(client);
    }

    @Override
    public String loginUser(long client) {
        return text(JnaLibrary::tim_get_login_user, client);
    }

    @Override
    public String kickInfo(long client) {
        return text(JnaLibrary::tim_get_kick_info, client);
    }

    @Override
    public String lastError(long client) {
        return text(JnaLibrary::tim_get_last_error, client);
    }

    @Override
    public String errorName(int code) {
        return text(tim_error_name(code));
    }

    @Override
    public String errorMessage(int code) {
        return text(tim_error_message(code));
    }

    @Override
    public boolean isRetryable(int code) {
        return tim_error_is_retryable(code) == 1;
    }

    /** A function that copies text out. */
    private interface Getter {
        int copy(long client, byte[] buffer, long capacity, LongByReference length);
    }

    private static String text(Getter getter, long client) {
        for (int capacity = 256; ; ) {
            byte[] buffer = new byte[capacity];
            LongByReference length = new LongByReference();
            int code = getter.copy(client, buffer, capacity, length);
            if (code != BUFFER_TOO_SMALL) {
                int end = code == OK ? (int) length.getValue() : 0;
                return new String(buffer, 0, end, StandardCharsets.UTF_8);
            }
            capacity = (int) length.getValue() + 1;
        }
    }

    private static String text(Pointer text) {
        return text == null ? "" : text.getString(0, "UTF-8");
    }

    private static byte[] terminated(String text) {
        return (text + '\0').getBytes(StandardCharsets.UTF_8);
    }
}
