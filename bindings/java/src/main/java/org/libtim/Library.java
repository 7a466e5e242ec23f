package org.libtim;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.LongByReference;
import java.nio.charset.StandardCharsets;

/** The functions of libtim that this package calls. */
final class Library {
    static final int OK = 0;
    static final int BUFFER_TOO_SMALL = 7709;
    static final int COMPLETION = 1;
    static final int CONNECTION = 2;
    static final int USER_SIG_EXPIRED = 3;
    static final int KICKED_OFFLINE = 4;
    static final int USER_SIG_EXPIRING = 5;
    static final int CLOSED = 6;

    static {
        Native.register(Library.class, System.getProperty("tim.library", "tim"));
    }

    private Library() {}

    /** {@code tim_event} of tim.h. */
    @FieldOrder({
        "size", "type", "code", "connectionStatus", "loginStatus", "isRetryable", "loginId",
        "secondsLeft", "userData", "message"
    })
    public static class Event extends Structure {
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

    static native int tim_client_create(byte[] config, LongByReference out, byte[] error, long capacity);

    static native int tim_client_destroy(long client, int timeoutMs);

    static native int tim_login(long client, byte[] userId, byte[] userSig, Pointer callback, Pointer userData);

    static native int tim_logout(long client, Pointer callback, Pointer userData);

    static native int tim_renew_user_sig(long client, byte[] userSig, Pointer callback, Pointer userData);

    static native int tim_notify(long client, int hint);

    static native int tim_poll_event(long client, int timeoutMs, Event event);

    static native int tim_get_login_status(long client);

    static native int tim_get_connection_status(long client);

    static native int tim_get_login_user(long client, byte[] buffer, long capacity, LongByReference length);

    static native int tim_get_kick_info(long client, byte[] buffer, long capacity, LongByReference length);

    static native int tim_get_last_error(long client, byte[] buffer, long capacity, LongByReference length);

    static native Pointer tim_error_name(int code);

    static native Pointer tim_error_message(int code);

    static native int tim_error_is_retryable(int code);

    /** A function that copies text out. */
    interface CopyOut {
        int copy(long client, byte[] buffer, long capacity, LongByReference length);
    }

    /** What a function copies out; empty where it has nothing. */
    static String text(CopyOut function, long client) {
        for (int capacity = 256; ; ) {
            byte[] buffer = new byte[capacity];
            LongByReference length = new LongByReference();
            int code = function.copy(client, buffer, capacity, length);
            if (code != BUFFER_TOO_SMALL) {
                int end = code == OK ? (int) length.getValue() : 0;
                return new String(buffer, 0, end, StandardCharsets.UTF_8);
            }
            capacity = (int) length.getValue() + 1;
        }
    }

    static String text(Pointer text) {
        return text == null ? "" : text.getString(0, "UTF-8");
    }

    /** A text for C, which a NUL would end early. */
    static byte[] text(String text, int code) {
        if (text.indexOf('\0') >= 0) throw new TimException(code);
        return (text + '\0').getBytes(StandardCharsets.UTF_8);
    }
}
