// Tests of what only .NET can do wrong; bindings/scenario has the rules that all bindings share.
// usage: Test.exe TIM_SERVER RUNTIME... (RUNTIME: the command that runs it, such as mono)

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using TimLogin;

internal static class Test
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly Action[] Tests =
    {
        AnErrorHasTheNameAndTheWordsOfItsCode,
        AnErrorTellsHowLongTheServerAsksToWait,
        AConfigurationThatIsWrongNamesTheKey,
        ATextWithANulIsNotCutThere,
        AKickSaysWhoDidItAndItsSenderIsTheClient,
        TheServersTimeIsKnownFromTheFirstLogin,
        AContinuationDoesNotBlockTheEventThread,
        ThreadsMayShareAClient,
        DisposeMayBeCalledInAHandler,
        AClosedClientRejectsCallsAndMayBeDisposedAgain,
        AThousandClientsLeaveNoThreadAndNoDescriptor,
        AClientThatIsForgottenIsClosed,
        AClientWithHandlersIsNotForgotten,
        AClientWithAPendingCallIsNotForgotten,
        AnUnhandledExceptionEndsTheProcessWithItsOwnStatus,
    };

    private static string program;
    private static string[] runtime;
    private static string data;
    private static string url;
    private static Process server;

    private static int Main(string[] arguments)
    {
        if (arguments[0] == "throw") Throw(int.Parse(arguments[1]));
        program = arguments[0];
        runtime = arguments.Skip(1).ToArray();
        data = Path.Combine(Path.GetTempPath(), "timlogin-" + Guid.NewGuid().ToString("N"));
        try
        {
            StartServer();
            foreach (Action test in Tests) test();
        }
        finally
        {
            server.Kill();
            server.WaitForExit();
            Directory.Delete(data, true);
        }
        Console.WriteLine("C#: pass (" + Tests.Length + " checks)");
        return 0;
    }

    private static void AnErrorHasTheNameAndTheWordsOfItsCode()
    {
        using (var client = new TimClient(Config("phone")))
        {
            TimException refused = Failure(client.LoginAsync("bob", Ticket("alice")));
            Is(70013, refused.Code);
            Is("TIM_ERR_USER_SIG_OTHER_USER", refused.CodeName);
            Check(refused.Message.Contains("another user") && refused.Message.Contains(refused.CodeName), refused.Message);
            Is(false, refused.IsRetryable);
        }
    }

    private static void AnErrorTellsHowLongTheServerAsksToWait()
    {
        using (var client = new TimClient(Config("phone")))
        {
            string ticket = Ticket("carol");
            TimException failure = null;
            for (int logins = 0; failure == null && logins < 1000; logins++)
                failure = FailureIfAny(client.LoginAsync("carol", ticket)) ?? FailureIfAny(client.LogoutAsync());
            Is("TIM_ERR_LOGIN_TOO_OFTEN", failure.CodeName);
            Check(failure.RetryAfterMs > 0 && failure.IsRetryable, "a wait");
        }
    }

    private static void AConfigurationThatIsWrongNamesTheKey()
    {
        Dictionary<string, object> config = Config("phone");
        config["server_url"] = "ftp://127.0.0.1";
        TimException wrong = Rejection(() => new TimClient(config));
        Is(7719, wrong.Code);
        Check(wrong.Message.Contains("server_url"), wrong.Message);
        config["server_url"] = new Uri(url);
        try
        {
            new TimClient(config).Dispose();
            Check(false, "an ArgumentException");
        }
        catch (ArgumentException wrongType)
        {
            Check(wrongType.Message.Contains("server_url: expected a string"), wrongType.Message);
        }
    }

    private static void ATextWithANulIsNotCutThere()
    {
        using (TimClient client = Silent())
        {
            Is(7003, Failure(client.LoginAsync("a\0b", "x")).Code);
            Is(70003, Failure(client.LoginAsync("a", "x\0y")).Code);
            Is(70003, Failure(client.RenewUserSigAsync("x\0y")).Code);
        }
    }

    private static void AKickSaysWhoDidItAndItsSenderIsTheClient()
    {
        using (var phone = new TimClient(Config("phone")))
        using (var tablet = new TimClient(Config("tablet")))
        {
            object from = null;
            phone.KickedOffline += (sender, e) => from = sender;
            BlockingCollection<KickedOfflineEventArgs> kicks = Kicks(phone);
            phone.LoginAsync("alice", Ticket("alice")).Wait();
            tablet.LoginAsync("alice", Ticket("alice")).Wait();
            KickInfo by = Next(kicks).By;
            Is("other_device", by.Cause);
            Is("linux", by.Platform);
            Is("my \"tablet\"", by.DeviceName);
            Check(Math.Abs(by.TimeMs - DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()) < 60000, "the server's time");
            Is(phone, from);
        }
    }

    private static void TheServersTimeIsKnownFromTheFirstLogin()
    {
        using (var client = new TimClient(Config("phone")))
        {
            Is(7721, Rejection(() => client.GetServerTimeMs()).Code);
            client.LoginAsync("alice", Ticket("alice")).Wait();
            long away = client.GetServerTimeMs() - DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            Check(Math.Abs(away) < 60000, "the server's time");
        }
    }

    private static void AContinuationDoesNotBlockTheEventThread()
    {
        var client = new TimClient(Config("phone"));
        Task after = client.LoginAsync("alice", Ticket("alice")).ContinueWith(
            login => client.LogoutAsync().Wait(), TaskContinuationOptions.ExecuteSynchronously);
        Check(after.Wait(Limit), "the end of a call inside a continuation");
        client.Dispose();
    }

    private static void ThreadsMayShareAClient()
    {
        using (var client = new TimClient(Config("phone")))
        {
            string ticket = Ticket("alice");
            Parallel.For(0, 64, _ =>
            {
                FailureIfAny(client.LoginAsync("alice", ticket));
                FailureIfAny(client.RenewUserSigAsync(ticket));
                client.Notify(Hint.Foreground);
                FailureIfAny(client.LogoutAsync());
                GC.KeepAlive(client.Status + client.User + client.Connection + client.LastError);
            });
            client.LogoutAsync().Wait();
            Is("", client.User);
        }
    }

    private static void DisposeMayBeCalledInAHandler()
    {
        var closed = new ManualResetEventSlim();
        TimClient client = Silent();
        client.Closed += (sender, e) => closed.Set();
        client.ConnectionChanged += (sender, e) => client.Dispose();
        Is(7009, Failure(client.LoginAsync("alice", "ticket")).Code);
        Check(closed.Wait(Limit), "the end");
    }

    private static void AClosedClientRejectsCallsAndMayBeDisposedAgain()
    {
        TimClient client = Silent();
        client.Dispose();
        Is(LoginStatus.None, client.Status);
        Is(ConnectionStatus.None, client.Connection);
        Is("", client.User);
        Is(7705, Failure(client.LogoutAsync()).Code);
        Is(7705, Rejection(() => client.Notify(Hint.Foreground)).Code);
        client.Dispose();
    }

    private static void AThousandClientsLeaveNoThreadAndNoDescriptor()
    {
        int threads = Threads(), descriptors = Directory.GetFiles("/proc/self/fd").Length;
        for (int round = 0; round < 1000; round++) new TimClient(Config("same")).Dispose();
        Within(() => Threads() <= threads && Directory.GetFiles("/proc/self/fd").Length <= descriptors);
    }

    private static void AClientThatIsForgottenIsClosed()
    {
        Forget(() => new TimClient(Config("same")).LoginAsync("alice", Ticket("alice")).Wait());
        Within(() => IsFree("same"));
    }

    private static void AClientWithHandlersIsNotForgotten()
    {
        BlockingCollection<KickedOfflineEventArgs> kicks = null;
        Forget(() =>
        {
            var phone = new TimClient(Config("phone"));
            kicks = Kicks(phone);
            phone.LoginAsync("alice", Ticket("alice")).Wait();
        });
        CollectAll();
        using (var tablet = new TimClient(Config("tablet")))
        {
            tablet.LoginAsync("alice", Ticket("alice")).Wait();
            Is(6208, Next(kicks).Code);
        }
    }

    private static void AClientWithAPendingCallIsNotForgotten()
    {
        Task login = null;
        Forget(() => login = Silent().LoginAsync("alice", "ticket"));
        CollectAll();
        Is(false, login.IsCompleted);
    }

    private static void AnUnhandledExceptionEndsTheProcessWithItsOwnStatus()
    {
        Tuple<int, string> without = RunThrow(0), with = RunThrow(3);
        Is(without.Item1, with.Item1);
        Check(with.Item1 != 0 && with.Item2.Contains("of the app"), with.Item2);
    }

    // What a process of its own does.
    private static void Throw(int clients)
    {
        for (; clients > 0; clients--) Silent().LoginAsync("alice", "ticket");
        throw new InvalidOperationException("of the app");
    }

    private static Tuple<int, string> RunThrow(int clients)
    {
        string self = typeof(Test).Assembly.Location;
        string arguments = string.Join(" ", runtime.Skip(1).Concat(new[] { self, "throw", clients.ToString() }));
        using (Process process = Start(runtime[0], arguments))
        {
            string said = process.StandardError.ReadToEnd();
            Check(process.WaitForExit((int)Limit.TotalMilliseconds), "the end of the process");
            return Tuple.Create(process.ExitCode, said);
        }
    }

    private static void Forget(Action use)
    {
        var thread = new Thread(() => use()); // its stack keeps no reference
        thread.Start();
        thread.Join();
    }

    // When a client that was forgotten later has been collected, so has everything that can be.
    private static void CollectAll()
    {
        Forget(() => new TimClient(Config("later")));
        Within(() => IsFree("later"));
    }

    private static bool IsFree(string device)
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        try
        {
            new TimClient(Config(device)).Dispose();
            return true;
        }
        catch (TimException error)
        {
            Is(7706, error.Code);
            return false;
        }
    }

    private static int Threads()
    {
        return Directory.GetDirectories("/proc/self/task").Count(IsOfAClient);
    }

    private static bool IsOfAClient(string thread)
    {
        try
        {
            string name = File.ReadAllText(thread + "/comm");
            return name.StartsWith("tim-network") || name.StartsWith("TimLogin");
        }
        catch (IOException)
        {
            return false; // it has ended
        }
    }

    private static BlockingCollection<KickedOfflineEventArgs> Kicks(TimClient client)
    {
        var kicks = new BlockingCollection<KickedOfflineEventArgs>();
        client.KickedOffline += (sender, e) => kicks.Add(e);
        return kicks;
    }

    private static KickedOfflineEventArgs Next(BlockingCollection<KickedOfflineEventArgs> kicks)
    {
        KickedOfflineEventArgs kick;
        Check(kicks.TryTake(out kick, Limit), "a kick");
        return kick;
    }

    // A client of a server that accepts connections and says nothing.
    private static TimClient Silent()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return new TimClient(new Dictionary<string, object>
        {
            { "server_url", "http://" + listener.LocalEndpoint }, { "sdk_app_id", 1 },
        });
    }

    private static Dictionary<string, object> Config(string device)
    {
        return new Dictionary<string, object>
        {
            { "server_url", url },
            { "sdk_app_id", uint.Parse(File.ReadAllText(Path.Combine(data, "sdk_app_id"))) },
            { "device_id", device },
            { "device_name", "my \"" + device + "\"" },
        };
    }

    private static void StartServer()
    {
        server = Start(program, "serve --listen 127.0.0.1:0 --data-dir " + data);
        server.BeginErrorReadLine();
        string ready = server.StandardOutput.ReadLine();
        url = "http://" + ready.Substring(ready.LastIndexOf("http=", StringComparison.Ordinal) + 5);
    }

    private static string Ticket(string user)
    {
        using (Process usersig = Start(program, "usersig --user-id " + user + " --data-dir " + data))
            return usersig.StandardOutput.ReadToEnd().Trim();
    }

    private static Process Start(string command, string arguments)
    {
        return Process.Start(new ProcessStartInfo(command, arguments)
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        });
    }

    private static TimException FailureIfAny(Task call)
    {
        try
        {
            Check(call.Wait(Limit), "the end of the call");
            return null;
        }
        catch (AggregateException error)
        {
            return (TimException)error.InnerException;
        }
    }

    private static TimException Failure(Task call)
    {
        TimException failure = FailureIfAny(call);
        Check(failure != null, "a failure");
        return failure;
    }

    private static TimException Rejection(Action call)
    {
        try
        {
            call();
        }
        catch (TimException error)
        {
            return error;
        }
        Check(false, "a rejection");
        return null;
    }

    private static void Within(Func<bool> holds)
    {
        var watch = Stopwatch.StartNew();
        while (!holds())
        {
            if (watch.Elapsed > Limit) Check(false, "it comes true");
            Thread.Yield();
        }
    }

    private static void Check(bool holds, string what)
    {
        if (!holds) throw new InvalidOperationException("expected: " + what);
    }

    private static void Is<T>(T wanted, T found)
    {
        Check(Equals(wanted, found), wanted + ", found " + found);
    }
}
