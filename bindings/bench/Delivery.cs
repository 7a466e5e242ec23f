// What the delivery of events costs in C#, with P/Invoke and the binding.

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

namespace TimLogin
{
    internal static class Delivery
    {
        private const int Batch = 64, Batches = 500, Kicks = 300;
        private const string Nobody = "http://127.0.0.1:1";
        private static readonly string Url = Environment.GetEnvironmentVariable("TIM_URL");
        private static readonly double NsPerTick = 1e9 / Stopwatch.Frequency;
        private static long seen;

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate void OnResult(int code, IntPtr message, IntPtr userData);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate void OnKicked(ulong client, int code, IntPtr message, ulong loginId, IntPtr userData);

        private delegate int Poll(ulong client, int timeoutMs, ref Native.Event taken);

        [DllImport("floor")]
        private static extern int floor_poll_event(ulong client, int timeoutMs, ref Native.Event taken);

        [DllImport("floor")]
        private static extern int floor_call_back(IntPtr function, int times);

        [DllImport("tim")]
        private static extern int tim_set_kicked_offline_callback(ulong client, OnKicked callback, IntPtr userData);

        private static void Must(bool ok, string what)
        {
            if (!ok) throw new InvalidOperationException(what);
        }

        private static double Now()
        {
            return Stopwatch.GetTimestamp() * NsPerTick;
        }

        private static void Print(string what, double value)
        {
            Console.WriteLine(what + " " + value.ToString("F2", CultureInfo.InvariantCulture));
        }

        private static ulong Create(string url, string delivery)
        {
            string config = "{\"server_url\":\"" + url + "\",\"sdk_app_id\":1,\"event_delivery\":\"" + delivery + "\"}";
            ulong client;
            Must(Native.tim_client_create(Native.Text(config), out client, null, UIntPtr.Zero) == 0, "create");
            return client;
        }

        // Mono hangs at the end of the process while a thread lives that has called a delegate.
        private static void Close(ulong client)
        {
            Must(Native.tim_client_destroy(client, 60000) == 0, "destroy");
        }

        private static void Drain(string what, Poll poll, ulong client)
        {
            var taken = new Native.Event();
            Thread.Sleep(1); // the network thread, which every call wakes, has gone back to sleep
            double start = Now();
            for (int i = 0; i < Batch; i++)
            {
                taken.Size = (uint)Marshal.SizeOf(typeof(Native.Event));
                Must(poll(client, 0, ref taken) == 0, "an event is missing");
                seen += taken.Type + taken.Code + (long)taken.UserData;
            }
            Print(what, (Now() - start) / Batch);
        }

        private static void ByPoll()
        {
            ulong client = Create(Nobody, "poll");
            for (int i = 0; i < Batches; i++)
            {
                Drain("floor_pull", floor_poll_event, client);
                for (int j = 0; j < Batch; j++)
                    Must(Native.tim_logout(client, IntPtr.Zero, IntPtr.Zero) == 0, "logout");
                Drain("pull", Native.tim_poll_event, client);
            }
        }

        private static void ByCallback()
        {
            ulong client = Create(Nobody, "callback");
            // The first callback of a batch waits until the whole batch is pending.
            var allPending = new SemaphoreSlim(0);
            var finished = new BlockingCollection<double>();
            int delivered = 0;
            double first = 0;
            OnResult onCompletion = (code, message, userData) =>
            {
                if (delivered == 0)
                {
                    allPending.Wait();
                    first = Now();
                }
                if (++delivered == Batch)
                {
                    double last = Now();
                    delivered = 0;
                    finished.Add((last - first) / (Batch - 1));
                }
            };
            IntPtr callback = Marshal.GetFunctionPointerForDelegate(onCompletion);
            for (int i = 0; i < Batches; i++)
            {
                Must(floor_call_back(callback, Batch) == 0, "thread");
                allPending.Release();
                Print("floor_callback", finished.Take());
                for (int j = 0; j < Batch; j++) Must(Native.tim_logout(client, callback, IntPtr.Zero) == 0, "logout");
                allPending.Release();
                Print("callback", finished.Take());
            }
            Close(client);
            GC.KeepAlive(onCompletion);
        }

        private static TimClient Open(string url)
        {
            return new TimClient(new Dictionary<string, object> { { "server_url", url }, { "sdk_app_id", 1 } });
        }

        private static void ByBinding()
        {
            using (TimClient client = Open(Nobody))
            {
                var calls = new Task[Batch];
                for (int i = 0; i < Batches; i++)
                {
                    double start = Now();
                    for (int j = 0; j < Batch; j++) calls[j] = client.LogoutAsync();
                    Task.WaitAll(calls);
                    Print("binding", (Now() - start) / Batch);
                }
            }
        }

        private static double Latency(double at, long sent)
        {
            return (at - sent) / 1000;
        }

        private static void KicksByBinding()
        {
            using (TimClient client = Open(Url))
            {
                var latencies = new BlockingCollection<double>();
                client.KickedOffline += (sender, ended) =>
                {
                    double at = Now();
                    latencies.Add(Latency(at, ended.By.TimeMs));
                };
                for (int i = 0; i < Kicks; i++)
                {
                    client.LoginAsync("alice", "ticket").Wait();
                    Print("latency_pull", latencies.Take());
                }
            }
        }

        private static void KicksByCallback()
        {
            ulong client = Create(Url, "callback");
            var kicked = new BlockingCollection<double>();
            OnKicked onKicked = (handle, code, message, loginId, userData) => kicked.Add(Now());
            Must(tim_set_kicked_offline_callback(client, onKicked, IntPtr.Zero) == 0, "setter");
            byte[] user = Native.Text("alice"), ticket = Native.Text("ticket");
            for (int i = 0; i < Kicks; i++)
            {
                Must(Native.tim_login(client, user, ticket, IntPtr.Zero, IntPtr.Zero) == 0, "login");
                double at = kicked.Take();
                string sent = Regex.Match(Native.Text(Native.tim_get_kick_info, client), "\"time_ms\":([0-9]+)").Groups[1].Value;
                Print("latency_callback", Latency(at, long.Parse(sent, CultureInfo.InvariantCulture)));
            }
            Close(client);
            GC.KeepAlive(onKicked);
        }

        private static void Main()
        {
            ByPoll();
            ByCallback();
            ByBinding();
            KicksByBinding();
            KicksByCallback();
        }
    }
}
