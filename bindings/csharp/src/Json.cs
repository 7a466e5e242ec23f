// The JSON that libtim reads and writes.

using System;
using System.Collections;
using System.Globalization;
using System.IO;
using System.Runtime.Serialization.Json;
using System.Text;

namespace TimLogin
{
    internal static class Json
    {
        internal static T Read<T>(string json)
        {
            using (var stream = new MemoryStream(Encoding.UTF8.GetBytes(json)))
                return (T)new DataContractJsonSerializer(typeof(T)).ReadObject(stream);
        }

        internal static string Write(IDictionary map)
        {
            var json = new StringBuilder();
            Write(map, json);
            return json.ToString();
        }

        private static void Write(IDictionary map, StringBuilder json)
        {
            string separator = "{";
            foreach (DictionaryEntry entry in map)
            {
                string key = entry.Key.ToString();
                json.Append(separator);
                Write(key, json);
                json.Append(':');
                Write(key, entry.Value, json);
                separator = ",";
            }
            json.Append(separator == "{" ? "{}" : "}");
        }

        private static void Write(string text, StringBuilder json)
        {
            json.Append('"');
            foreach (char c in text)
            {
                if (c < ' ' || c == '"' || c == '\\') json.AppendFormat("\\u{0:x4}", (int)c);
                else json.Append(c);
            }
            json.Append('"');
        }

        private static void Write(string key, object value, StringBuilder json)
        {
            if (value == null) json.Append("null");
            else if (value is string) Write((string)value, json);
            else if (value is bool) json.Append((bool)value ? "true" : "false");
            else if (value is IDictionary) Write((IDictionary)value, json);
            else if (IsNumber(value)) json.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
            else
                throw new ArgumentException(
                    key + ": expected a string, a number, a boolean or a dictionary, found " + value.GetType());
        }

        private static bool IsNumber(object value)
        {
            TypeCode type = Type.GetTypeCode(value.GetType());
            return type >= TypeCode.SByte && type <= TypeCode.Decimal && !(value is Enum);
        }
    }
}
