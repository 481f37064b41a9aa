package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	serfagent "github.com/hashicorp/serf/cmd/serf/command/agent"
	"github.com/hashicorp/serf/serf"
)

func TestAllFlagsOfSerfAreTaken(t *testing.T) {
	flags := []string{"replay"} // taken by serf, but not in its help
	for _, m := range regexp.MustCompile(`(?m)^  -([a-z0-9-]+)`).FindAllStringSubmatch(new(serfagent.Command).Help(), -1) {
		flags = append(flags, m[1])
	}
	if len(flags) < 30 {
		t.Fatalf("only %d flags found in serf's help: %v", len(flags), flags)
	}
	for _, f := range flags {
		if f == "config-file" || f == "config-dir" {
			continue // these say where settings are; the command reads them
		}
		if !slices.ContainsFunc(Settings(), func(s Setting) bool { return s.Flag == f }) {
			t.Errorf("serf's -%s is not taken", f)
		}
	}
}

func TestAllKeysOfSerfAreTaken(t *testing.T) {
	var keys []string
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for _, f := range reflect.VisibleFields(typ) {
			key := f.Tag.Get("mapstructure")
			switch {
			case key == "-":
				continue
			case key == "":
				key = f.Name // what mapstructure takes then
			}
			if f.Type.Kind() == reflect.Struct {
				walk(prefix+key+".", f.Type)
				continue
			}
			keys = append(keys, prefix+key)
		}
	}
	walk("", reflect.TypeFor[serfagent.Config]())
	if len(keys) < 40 {
		t.Fatalf("only %d keys found: %v", len(keys), keys)
	}
	for _, k := range keys {
		if !slices.ContainsFunc(Settings(), func(s Setting) bool { return s.Key == k }) {
			t.Errorf("serf's key %s is not taken", k)
		}
	}
}

// fromSerf is serf's configuration as ours.
func fromSerf(c *serfagent.Config) Options {
	return Options{
		NodeName:               c.NodeName,
		Role:                   c.Role,
		Tags:                   c.Tags,
		TagsFile:               c.TagsFile,
		Bind:                   c.BindAddr,
		Interface:              c.Interface,
		Advertise:              c.AdvertiseAddr,
		Protocol:               c.Protocol,
		Profile:                c.Profile,
		EncryptKey:             c.EncryptKey,
		KeyringFile:            c.KeyringFile,
		RPCAddr:                c.RPCAddr,
		RPCAuthKey:             c.RPCAuthKey,
		StartJoin:              c.StartJoin,
		RetryJoin:              c.RetryJoin,
		RetryInterval:          c.RetryInterval,
		RetryMaxAttempts:       c.RetryMaxAttempts,
		ReplayOnJoin:           c.ReplayOnJoin,
		RejoinAfterLeave:       c.RejoinAfterLeave,
		SnapshotPath:           c.SnapshotPath,
		Discover:               c.Discover,
		MDNS:                   MDNSOptions(c.MDNS),
		LeaveOnTerm:            c.LeaveOnTerm,
		SkipLeaveOnInt:         c.SkipLeaveOnInt,
		BroadcastTimeout:       c.BroadcastTimeout,
		ReconnectInterval:      c.ReconnectInterval,
		ReconnectTimeout:       c.ReconnectTimeout,
		TombstoneTimeout:       c.TombstoneTimeout,
		DisableNameResolution:  c.DisableNameResolution,
		DisableCoordinates:     c.DisableCoordinates,
		ValidateNodeNames:      c.ValidateNodeNames,
		NewTimeFormat:          c.MsgpackUseNewTimeFormat,
		LogLevel:               c.LogLevel,
		EnableSyslog:           c.EnableSyslog,
		SyslogFacility:         c.SyslogFacility,
		StatsiteAddr:           c.StatsiteAddr,
		StatsdAddr:             c.StatsdAddr,
		QueryResponseSizeLimit: c.QueryResponseSizeLimit,
		QuerySizeLimit:         c.QuerySizeLimit,
		UserEventSizeLimit:     c.UserEventSizeLimit,
		EventHandlers:          c.EventHandlers,
		EnableCompression:      true, // serf's flag, which wins over its key
	}
}

// onlyOurs are the fields of Options for which serf has nothing.
var onlyOurs = []string{"AsSerf", "NativeHandlers", "Gateway", "HTTPAddr", "HTTPTokenFile", "LogFormat", "DrainTimeout",
	"DataDir", "JournalMaxEvents", "JournalMaxAge", "QueueMaxEvents", "PeerLinks", "DirectSend", "MaxEventSize"}

// asSerf compares what serf has too; levels of the log are in any case.
var asSerf = cmp.Options{
	cmpopts.IgnoreFields(Options{}, onlyOurs...),
	cmpopts.EquateEmpty(),
	cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "LogLevel" },
		cmp.Comparer(strings.EqualFold)),
}

func TestDefaultsAreSerfs(t *testing.T) {
	want := fromSerf(serfagent.DefaultConfig())
	want.Protocol = 4 // and not 5, which serf 0.7.0 and 0.8.0 refuse
	if diff := cmp.Diff(want, SerfOptions(), asSerf); diff != "" {
		t.Errorf("SerfOptions (-serf +ours):\n%s", diff)
	}
	// Those that differ. Compression takes longer than it saves: events and pings
	// have some hundred bytes.
	want.LeaveOnTerm, want.EnableCompression = true, false
	if diff := cmp.Diff(want, DefaultOptions(), asSerf); diff != "" {
		t.Errorf("DefaultOptions (-serf +ours):\n%s", diff)
	}
}

func TestBoundsAreSerfs(t *testing.T) {
	if minProtocol != serf.ProtocolVersionMin || maxProtocol != serf.ProtocolVersionMax || maxUserEvent != serf.UserEventSizeLimit {
		t.Errorf("protocols %d to %d and events of %d bytes, serf has %d to %d and %d",
			minProtocol, maxProtocol, maxUserEvent, serf.ProtocolVersionMin, serf.ProtocolVersionMax, serf.UserEventSizeLimit)
	}
}

// TestFilesMeanWhatTheyMeanToSerf reads folders and files with serf and with
// us.
func TestFilesMeanWhatTheyMeanToSerf(t *testing.T) {
	const everything = `{
		"node_name": "n", "role": "web", "disable_coordinates": true,
		"tags": {"dc": "east", "odd key": "ü=,"}, "tags_file": "/t",
		"bind": "10.0.0.1:7", "advertise": "10.0.0.2", "encrypt_key": "QUFB", "keyring_file": "/k",
		"log_level": "debug", "rpc_addr": "127.0.0.1:9", "rpc_auth": "s", "protocol": 4, "replay_on_join": true,
		"query_response_size_limit": 100, "query_size_limit": 101, "user_event_size_limit": 102,
		"start_join": ["a", "b:1"], "event_handlers": ["user=x", "y.sh"], "profile": "wan",
		"snapshot_path": "/s", "leave_on_terminate": true, "skip_leave_on_interrupt": true,
		"discover": "c", "mdns": {"interface": "e", "disable_ipv4": true, "disable_ipv6": true}, "interface": "f",
		"reconnect_interval": "1m", "reconnect_timeout": "2m", "tombstone_timeout": "3m",
		"disable_name_resolution": true, "enable_syslog": true, "syslog_facility": "DAEMON",
		"retry_join": ["c"], "retry_max_attempts": 3, "retry_interval": "4s", "rejoin_after_leave": true,
		"enable_compression": true, "statsite_addr": "d:1", "statsd_addr": "d:2", "broadcast_timeout": "1.5s",
		"validate_node_names": false, "MsgpackUseNewTimeFormat": false
	}`
	for name, texts := range map[string]map[string]string{
		"nothing":          {"a.json": `{}`},
		"everything":       {"a.json": everything},
		"keys in any case": {"a.json": `{"Node_Name": "x", "MDNS": {"Interface": "y"}}`},
		"nulls and empty":  {"a.json": everything, "b.json": `{"node_name": "", "tags": null, "mdns": null, "protocol": 0, "start_join": [], "retry_interval": "", "bind": null}`},
		"lists append, tags merge": {
			"1.json": `{"start_join": ["a"], "retry_join": ["r"], "event_handlers": ["x"], "tags": {"a": "1", "b": "1"}}`,
			"2.json": `{"start_join": ["b", "a"], "event_handlers": ["y"], "tags": {"b": "2", "c": "2"}}`,
		},
		"order of names": {
			"10.json": `{"bind": "10", "profile": "wan"}`, "9.json": `{"bind": "9"}`, "B.json": `{"role": "B"}`, "a.json": `{"role": "a"}`,
		},
		"other files": {"a.json": `{"bind": "a"}`, "b.json.bak": `{"bind": "b"`, "c": `no JSON`, "sub/d.json": `{"bind": "d"}`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range texts {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			single := filepath.Join(dir, slices.Sorted(maps.Keys(texts))[0])
			for _, paths := range [][]string{{dir}, {dir, single}} {
				read, err := serfagent.ReadConfigPaths(paths)
				if err != nil {
					t.Fatalf("serf: %v", err)
				}
				defaults := serfagent.DefaultConfig()
				defaults.Protocol = DefaultProtocol // see TestDefaultsAreSerfs
				want := fromSerf(serfagent.MergeConfig(defaults, read))
				c := &compiler{opts: SerfOptions(), locations: locations{}, files: files{}}
				if c.readConfig(paths); len(c.problems) > 0 {
					t.Fatal(c.problems)
				}
				if diff := cmp.Diff(want, c.opts, asSerf); diff != "" {
					t.Errorf("%v (-serf +ours):\n%s", paths, diff)
				}
			}
		})
	}
}
