// The functions of libtim that this binding calls.

using System;
using System.Runtime.InteropServices;
using System.Text;

namespace TimLogin
{
    internal static class Native
    {
        internal const int Ok = 0;
        internal const int InvalidUserId = 7003;
        internal const int BufferTooSmall = 7709;
        internal const int UserSigUnreadable = 70003;

        internal const int Completion = 1;
        internal const int Connection = 2;
        internal const int UserSigExpired = 3;
        internal const int KickedOffline = 4;
        internal const int UserSigExpiring = 5;
        internal const int ClosedEvent = 6;

        private const string Library = "tim";

        // tim_event of tim.h.
        [StructLayout(LayoutKind.Sequential)]
        internal struct Event
        {
            internal uint Size;
            internal int Type;
            internal int Code;
            internal int ConnectionStatus;
            internal int LoginStatus;
            internal int IsRetryable;
            internal ulong LoginId;
            internal long SecondsLeft;
            internal IntPtr UserData;
            internal IntPtr Message;
        }

        internal delegate int CopyOut(ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_client_create(
            byte[] config, out ulong client, byte[] error, UIntPtr capacity);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_client_destroy(ulong client, int timeoutMs);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_login(
            ulong client, byte[] userId, byte[] userSig, IntPtr callback, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_logout(ulong client, IntPtr callback, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_renew_user_sig(
            ulong client, byte[] userSig, IntPtr callback, IntPtr userData);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_notify(ulong client, int hint);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_poll_event(ulong client, int timeoutMs, ref Event taken);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_get_login_status(ulong client);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_get_connection_status(ulong client);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_get_login_user(
            ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_get_kick_info(
            ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_get_last_error(
            ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_get_server_time_ms(ulong client, out long time);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr tim_error_name(int code);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr tim_error_message(int code);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int tim_error_is_retryable(int code);

        // What a function copies out; empty where it has nothing.
        internal static string Text(CopyOut function, ulong client)
        {
            for (int capacity = 256; ;)
            {
                var buffer = new byte[capacity];
                UIntPtr length;
                int code = function(client, buffer, (UIntPtr)capacity, out length);
                if (code != BufferTooSmall)
                    return code == Ok ? Encoding.UTF8.GetString(buffer, 0, (int)length) : "";
                capacity = (int)length + 1;
            }
        }

        // A static text of the library.
        internal static string Text(IntPtr text)
        {
            if (text == IntPtr.Zero) return "";
            int length = 0;
            while (Marshal.ReadByte(text, length) != 0) length++;
            var bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }

        // A text for C.
        internal static byte[] Text(string text)
        {
            return Encoding.UTF8.GetBytes(text + "\0");
        }
    }
}
