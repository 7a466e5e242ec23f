// The errors of libtim.

using System;

namespace TimLogin
{
    /// <summary>A call that was rejected or failed.</summary>
    public sealed class TimException : Exception
    {
        internal TimException(int code, long retryAfterMs = 0)
            : this(code, Native.Text(Native.tim_error_message(code)))
        {
            RetryAfterMs = retryAfterMs;
        }

        internal TimException(int code, string message)
            : base(message + " (" + Native.Text(Native.tim_error_name(code)) + ")")
        {
            Code = code;
            CodeName = Native.Text(Native.tim_error_name(code));
            IsRetryable = Native.tim_error_is_retryable(code) == 1;
        }

        /// <summary>TIM_ERR_* of tim.h.</summary>
        public int Code { get; }

        /// <summary>The code's name as tim.h spells it.</summary>
        public string CodeName { get; }

        /// <summary>The same call may succeed later, unchanged.</summary>
        public bool IsRetryable { get; }

        /// <summary>How long the server asks to wait; 0 if it does not say.</summary>
        public long RetryAfterMs { get; }
    }
}
