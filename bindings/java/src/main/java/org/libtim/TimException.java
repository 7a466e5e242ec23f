package org.libtim;

/** A call that was rejected or failed. */
public final class TimException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int code;
    private final String codeName;
    private final boolean retryable;

    TimException(int code) {
        this(code, Library.LOADED.errorMessage(code));
    }

    TimException(int code, String message) {
        super(message + " (" + Library.LOADED.errorName(code) + ")");
        this.code = code;
        this.codeName = Library.LOADED.errorName(code);
        this.retryable = Library.LOADED.isRetryable(code);
    }

    /** TIM_ERR_* of tim.h. */
    public int code() {
        return code;
    }

    /** The code's name as tim.h spells it. */
    public String codeName() {
        return codeName;
    }

    /** Whether the same call may succeed later, unchanged. */
    public boolean isRetryable() {
        return retryable;
    }
}
