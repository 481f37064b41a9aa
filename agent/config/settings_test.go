package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
)

type knownSetting struct {
	flag, env, key string
	field          string // of Options
	flagValue      string // for flag and environment
	jsonValue      string
	want           any
}

// known is the table of settings once more, as a reader of the manual sees it.
var known = []knownSetting{
	{"bind", "BIND", "bind", "Bind", "10.0.0.1:5", `"10.0.0.1:5"`, "10.0.0.1:5"},
	{"iface", "IFACE", "interface", "Interface", "eth7", `"eth7"`, "eth7"},
	{"advertise", "ADVERTISE", "advertise", "Advertise", "10.0.0.1", `"10.0.0.1"`, "10.0.0.1"},
	{"node", "NODE", "node_name", "NodeName", "n1", `"n1"`, "n1"},
	{"tag", "TAG", "tags", "Tags", "a=b=c", `{"a": "b=c"}`, map[string]string{"a": "b=c"}},
	{"tags-file", "TAGS_FILE", "tags_file", "TagsFile", "/t", `"/t"`, "/t"},
	{"role", "ROLE", "role", "Role", "web", `"web"`, "web"},
	{"profile", "PROFILE", "profile", "Profile", "wan", `"wan"`, "wan"},
	{"protocol", "PROTOCOL", "protocol", "Protocol", "5", `5`, 5},
	{"join", "JOIN", "start_join", "StartJoin", "a:1", `["a:1"]`, []string{"a:1"}},
	{"retry-join", "RETRY_JOIN", "retry_join", "RetryJoin", "dns+srv://x", `["dns+srv://x"]`, []string{"dns+srv://x"}},
	{"retry-interval", "RETRY_INTERVAL", "retry_interval", "RetryInterval", "7s", `"7s"`, 7 * time.Second},
	{"retry-max", "RETRY_MAX", "retry_max_attempts", "RetryMaxAttempts", "9", `9`, 9},
	{"replay", "REPLAY", "replay_on_join", "ReplayOnJoin", "true", `true`, true},
	{"rejoin", "REJOIN", "rejoin_after_leave", "RejoinAfterLeave", "true", `true`, true},
	{"snapshot", "SNAPSHOT", "snapshot_path", "SnapshotPath", "/s", `"/s"`, "/s"},
	{"discover", "DISCOVER", "discover", "Discover", "c", `"c"`, "c"},
	{"mdns-iface", "MDNS_IFACE", "mdns.interface", "MDNS.Interface", "eth1", `"eth1"`, "eth1"},
	{"mdns-disable-ipv4", "MDNS_DISABLE_IPV4", "mdns.disable_ipv4", "MDNS.DisableIPv4", "1", `true`, true},
	{"mdns-disable-ipv6", "MDNS_DISABLE_IPV6", "mdns.disable_ipv6", "MDNS.DisableIPv6", "t", `true`, true},
	{"encrypt", "ENCRYPT", "encrypt_key", "EncryptKey", "a2V5", `"a2V5"`, "a2V5"},
	{"keyring-file", "KEYRING_FILE", "keyring_file", "KeyringFile", "/k", `"/k"`, "/k"},
	{"rpc-addr", "RPC_ADDR", "rpc_addr", "RPCAddr", "unix:/r", `"unix:/r"`, "unix:/r"},
	{"", "RPC_AUTH", "rpc_auth", "RPCAuthKey", "s", `"s"`, "s"},
	{"broadcast-timeout", "BROADCAST_TIMEOUT", "broadcast_timeout", "BroadcastTimeout", "9s", `"9s"`, 9 * time.Second},
	{"disable-compression", "DISABLE_COMPRESSION", "", "EnableCompression", "false", ``, true},
	{"", "ENABLE_COMPRESSION", "enable_compression", "EnableCompression", "true", `true`, true},
	{"log-level", "LOG_LEVEL", "log_level", "LogLevel", "err", `"err"`, "err"},
	{"syslog", "SYSLOG", "enable_syslog", "EnableSyslog", "true", `true`, true},
	{"", "SYSLOG_FACILITY", "syslog_facility", "SyslogFacility", "DAEMON", `"DAEMON"`, "DAEMON"},
	{"", "LEAVE_ON_TERMINATE", "leave_on_terminate", "LeaveOnTerm", "false", `false`, false},
	{"", "SKIP_LEAVE_ON_INTERRUPT", "skip_leave_on_interrupt", "SkipLeaveOnInt", "true", `true`, true},
	{"", "RECONNECT_INTERVAL", "reconnect_interval", "ReconnectInterval", "8s", `"8s"`, 8 * time.Second},
	{"", "RECONNECT_TIMEOUT", "reconnect_timeout", "ReconnectTimeout", "8h", `"8h"`, 8 * time.Hour},
	{"", "TOMBSTONE_TIMEOUT", "tombstone_timeout", "TombstoneTimeout", "8m", `"8m"`, 8 * time.Minute},
	{"", "DISABLE_NAME_RESOLUTION", "disable_name_resolution", "DisableNameResolution", "true", `true`, true},
	{"", "DISABLE_COORDINATES", "disable_coordinates", "DisableCoordinates", "true", `true`, true},
	{"", "VALIDATE_NODE_NAMES", "validate_node_names", "ValidateNodeNames", "true", `true`, true},
	{"", "QUERY_RESPONSE_SIZE_LIMIT", "query_response_size_limit", "QueryResponseSizeLimit", "11", `11`, 11},
	{"", "QUERY_SIZE_LIMIT", "query_size_limit", "QuerySizeLimit", "12", `12`, 12},
	{"", "USER_EVENT_SIZE_LIMIT", "user_event_size_limit", "UserEventSizeLimit", "13", `13`, 13},
	{"", "STATSITE_ADDR", "statsite_addr", "StatsiteAddr", "a:1", `"a:1"`, "a:1"},
	{"", "STATSD_ADDR", "statsd_addr", "StatsdAddr", "a:2", `"a:2"`, "a:2"},
	{"", "MSGPACKUSENEWTIMEFORMAT", "MsgpackUseNewTimeFormat", "NewTimeFormat", "true", `true`, true},
	{"data-dir", "DATA_DIR", "data_dir", "DataDir", "/d", `"/d"`, "/d"},
	{"journal-max-events", "JOURNAL_MAX_EVENTS", "journal_max_events", "JournalMaxEvents", "14", `14`, 14},
	{"journal-max-age", "JOURNAL_MAX_AGE", "journal_max_age", "JournalMaxAge", "1h", `"1h"`, time.Hour},
	{"queue-max-events", "QUEUE_MAX_EVENTS", "queue_max_events", "QueueMaxEvents", "15", `15`, 15},
	{"event-handler", "EVENT_HANDLER", "event_handlers", "EventHandlers", "user,query=a, b", `["user,query=a, b"]`, []string{"user,query=a, b"}},
	{"gateway", "GATEWAY", "gateway", "Gateway", "http://h", `"http://h"`, "http://h"},
	{"native-handlers", "NATIVE_HANDLERS", "native_handlers", "NativeHandlers", "false", `false`, false},
	{"http-addr", "HTTP_ADDR", "http_addr", "HTTPAddr", "off", `"off"`, "off"},
	{"http-token-file", "HTTP_TOKEN_FILE", "http_token_file", "HTTPTokenFile", "f", `"f"`, "f"},
	{"log-format", "LOG_FORMAT", "log_format", "LogFormat", "json", `"json"`, "json"},
	{"peer-links", "PEER_LINKS", "peer_links", "PeerLinks", "false", `false`, false},
	{"direct-send", "DIRECT_SEND", "direct_send", "DirectSend", "false", `false`, false},
	{"max-event-size", "MAX_EVENT_SIZE", "max_event_size", "MaxEventSize", "16", `16`, 16},
	{"drain-timeout", "DRAIN_TIMEOUT", "drain_timeout", "DrainTimeout", "1m", `"1m"`, time.Minute},
}

// field is a field of o, by its path.
func valueAt(o *Options, path string) reflect.Value {
	v := reflect.ValueOf(o).Elem()
	for name := range strings.SplitSeq(path, ".") {
		v = v.FieldByName(name)
	}
	return v
}

// setting finds a setting by its flag, or by its key where it has none.
func setting(t *testing.T, flag, key string) Setting {
	t.Helper()
	for _, s := range Settings() {
		if s.Flag == flag && (flag != "" || s.Key == key) {
			return s
		}
	}
	t.Fatalf("there is no setting -%s %s", flag, key)
	return Setting{}
}

func TestEverySettingByFlagEnvironmentAndFile(t *testing.T) {
	for _, k := range known {
		t.Run(k.field+"/"+k.flag+k.key, func(t *testing.T) {
			s := setting(t, k.flag, k.key)
			if s.Key != k.key || s.Env() != "AGENTCTL_"+k.env {
				t.Errorf("key %q, variable %q, want %q and AGENTCTL_%s", s.Key, s.Env(), k.key, k.env)
			}
			ways := map[string]func(o *Options) error{
				"flag":        func(o *Options) error { return s.set(o, k.flagValue) },
				"environment": func(o *Options) error { return s.setEnv(o, k.flagValue) },
			}
			if k.key != "" {
				text := fmt.Sprintf(`{%q: %s}`, k.key, k.jsonValue)
				if inner, ok := strings.CutPrefix(k.key, "mdns."); ok {
					text = fmt.Sprintf(`{"mdns": {%q: %s}}`, inner, k.jsonValue)
				}
				file := filepath.Join(t.TempDir(), "c.json")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				ways["file"] = func(o *Options) (err error) { *o, err = read(file); return err }
			}
			for way, set := range ways {
				got, want := DefaultOptions(), DefaultOptions()
				if reflect.DeepEqual(valueAt(&got, k.field).Interface(), k.want) {
					t.Fatalf("%v is the default: nothing would be seen", k.want)
				}
				if err := set(&got); err != nil {
					t.Errorf("%s: %v", way, err)
				}
				valueAt(&want, k.field).Set(reflect.ValueOf(k.want))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", way, diff)
				}
			}
		})
	}
}

func TestSettingsAndOptionsCoverEachOther(t *testing.T) {
	// Targets are given in files only: see TestTargetsInAFile.
	if len(known)+1 != len(Settings()) {
		t.Errorf("%d settings, %d known here", len(Settings()), len(known)+1)
	}
	covered := map[string]bool{}
	for _, k := range known {
		covered[k.field] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		// AsSerf is no setting: the name that the program is called by sets it.
		if f.Name != "MDNS" && f.Name != "AsSerf" && f.Name != "Targets" && !covered[f.Name] {
			t.Errorf("no setting sets Options.%s", f.Name)
		}
	}
	seen := map[string]bool{}
	for _, s := range Settings() {
		for _, name := range []string{"flag " + s.Flag, "key " + strings.ToLower(s.Key), "env " + s.Env()} {
			if seen[name] && name != "flag " && name != "key " {
				t.Errorf("two settings have %s", name)
			}
			seen[name] = true
		}
		if s.Usage == "" {
			t.Errorf("%s has no text", s.name())
		}
	}
}

func TestSettingRefusesWhatItCannotRead(t *testing.T) {
	for _, tt := range []struct{ flag, value, want string }{
		{"protocol", "five", `"five" is not a whole number`},
		{"retry-max", "1.5", `"1.5" is not a whole number`},
		{"replay", "maybe", `"maybe" is not true or false`},
		{"disable-compression", "2", `"2" is not true or false`},
		{"retry-interval", "30", `"30" is not a duration such as 30s or 5m`},
		{"tag", "role", `"role" is not key=value`},
		{"tag", "=x", `"=x" is not key=value`},
	} {
		o := DefaultOptions()
		err := setting(t, tt.flag, "").set(&o, tt.value)
		if err == nil || err.Error() != tt.want {
			t.Errorf("-%s=%s: %v, want %s", tt.flag, tt.value, err, tt.want)
		}
		if diff := cmp.Diff(DefaultOptions(), o); diff != "" {
			t.Errorf("-%s=%s changed something:\n%s", tt.flag, tt.value, diff)
		}
	}
}

func TestRepeatedSettings(t *testing.T) {
	o := DefaultOptions()
	for _, v := range []struct{ flag, value string }{
		{"join", "a"}, {"join", "b,c"}, {"tag", "x=1"}, {"tag", "y=2"}, {"tag", "x=3"},
	} {
		if err := setting(t, v.flag, "").set(&o, v.value); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []struct{ flag, value string }{
		{"join", "d, e\nf"}, {"tag", "z=4,y=5"}, {"event-handler", "member-join,user=a.sh, b\nuser:x=http://h/?a,b"},
	} {
		if err := setting(t, v.flag, "").setEnv(&o, v.value); err != nil {
			t.Fatal(err)
		}
	}
	want := DefaultOptions()
	want.StartJoin = []string{"a", "b,c", "d", "e", "f"}
	want.Tags = map[string]string{"x": "3", "y": "5", "z": "4"}
	want.EventHandlers = []string{"member-join,user=a.sh, b", "user:x=http://h/?a,b"}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLaterPlacesWin(t *testing.T) {
	file := testkit.WriteFile(t, `{"profile": "wan", "log_level": "warn", "protocol": 3, "start_join": ["file"],
		"tags": {"a": "file", "b": "file"}, "leave_on_terminate": false, "node_name": "n"}`)
	given := func(flag, value string) Flag { return Flag{setting(t, flag, ""), value} }
	defaults := DefaultOptions()
	defaults.Tags["d"] = "default"
	got, err := Compile(Input{
		Defaults: defaults,
		Files:    []string{file},
		Environ:  []string{"AGENTCTL_LOG_LEVEL=err", "AGENTCTL_PROTOCOL=4", "AGENTCTL_JOIN=env", "AGENTCTL_TAG=b=env,c=env", "AGENTCTL_PROFILE=", "PROFILE=local"},
		Flags:    []Flag{given("protocol", "5"), given("join", "flag"), given("tag", "c=flag"), given("protocol", "2")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultOptions()
	want.NodeName, want.Profile, want.LogLevel, want.Protocol = "n", "wan", "err", 2
	want.StartJoin = []string{"file", "env", "flag"}
	want.Tags = map[string]string{"a": "file", "b": "env", "c": "flag", "d": "default"}
	want.LeaveOnTerm = false
	if diff := cmp.Diff(want, got.Options); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(defaults.Tags) != 1 {
		t.Errorf("the defaults were changed: %v", defaults.Tags)
	}
}

func TestSettingForTheHelp(t *testing.T) {
	o := DefaultOptions()
	for flag, want := range map[string]string{
		"bind": "0.0.0.0", "retry-interval": "30s", "protocol": "4", "tag": "", "replay": "", "encrypt": "", "http-addr": DefaultHTTPAddr,
	} {
		if got := setting(t, flag, "").Default(&o); got != want {
			t.Errorf("-%s: default %q, want %q", flag, got, want)
		}
	}
	for _, s := range Settings() {
		_, isBool := reflect.ValueOf(s.pointer(&o)).Elem().Interface().(bool)
		if want := isBool || s.Flag == "disable-compression"; s.IsBool() != want {
			t.Errorf("%s: IsBool is %v", s.name(), s.IsBool())
		}
		if want := s.Flag == "encrypt" || s.Key == "rpc_auth"; s.secret != want {
			t.Errorf("%s: Secret is %v", s.name(), s.secret)
		}
	}
}
