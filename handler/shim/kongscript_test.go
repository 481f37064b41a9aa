package shim

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"agentctl/handler/target"
)

// What the generations of Kong write, made of the facts of what they contain.
const (
	scriptOf010 = "#!/bin/sh\n\n" + scriptStart + `
CMD="\
local http = require 'resty.http' \
local client = http.new() \
client:set_timeout(5000) \
client:connect('127.0.0.1', 8001) \
client:request { \
  method = 'POST', \
  path = '/cluster/events/', \
  body = [=[${PAYLOAD}]=], \
  headers = { \
    ['content-type'] = 'application/json' \
  } \
}"

/usr/local/openresty/bin/resty -e "$CMD"
`
	scriptOf07 = "#!/bin/sh\n" + scriptStart + `
echo $PAYLOAD > /tmp/payload

COMMAND='require("kong.tools.http_client").post("http://0.0.0.0:8001/cluster/events/", [=['${PAYLOAD}']=], {["content-type"] = "application/json"})'

echo $COMMAND | /usr/local/bin/luajit
`
	scriptOf06 = "#!/bin/sh\n" + scriptStart + `
echo $PAYLOAD > /tmp/payload

COMMAND='require("kong.tools.http_client").post("http://0.0.0.0:8001/cluster/events/", [['${PAYLOAD}']], {["content-type"] = "application/json"})'

echo $COMMAND | luajit
`
	scriptOfEarly09 = "\n#!/bin/sh\n\n" + scriptStart + `echo $PAYLOAD > /tmp/payload

resty -e "require('kong.tools.http_client').post('http://127.0.0.1:8101/cluster/events/', [=['${PAYLOAD}']=], {['content-type'] = 'application/json'})"

exit 0
`
	scriptStart = "PAYLOAD=`cat` # Read from stdin\n" + `if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi
`
)

func TestKongScript(t *testing.T) {
	without := func(s, line string) string {
		if !strings.Contains(s, line) {
			t.Fatalf("the script has no %q", line)
		}
		return strings.Replace(s, line, "", 1)
	}
	for name, test := range map[string]struct{ script, url string }{
		"0.10":               {scriptOf010, "http://127.0.0.1:8001/cluster/events/"},
		"0.9 has no timeout": {without(scriptOf010, "client:set_timeout(5000) \\\n"), "http://127.0.0.1:8001/cluster/events/"},
		"0.9 finds resty":    {strings.Replace(scriptOf010, "/usr/local/openresty/bin/resty", "resty", 1), "http://127.0.0.1:8001/cluster/events/"},
		"resty elsewhere":    {strings.Replace(scriptOf010, "/usr/local/openresty/bin/resty", "/opt/openresty-1.9/bin/resty", 1), "http://127.0.0.1:8001/cluster/events/"},
		"resty in /":         {strings.Replace(scriptOf010, "/usr/local/openresty/bin/resty", "/resty", 1), "http://127.0.0.1:8001/cluster/events/"},
		"early 0.9":          {scriptOfEarly09, "http://127.0.0.1:8101/cluster/events/"},
		"0.7 and 0.8":        {scriptOf07, "http://127.0.0.1:8001/cluster/events/"},
		"0.7 finds luajit":   {strings.Replace(scriptOf07, "/usr/local/bin/luajit", "luajit", 1), "http://127.0.0.1:8001/cluster/events/"},
		"0.6":                {scriptOf06, "http://127.0.0.1:8001/cluster/events/"},
		"0.6 and a name":     {strings.Replace(scriptOf06, "0.0.0.0:8001", "kong_1.local:8101", 1), "http://kong_1.local:8101/cluster/events/"},
		"another address":    {strings.Replace(scriptOf010, "'127.0.0.1', 8001", "'10.1.2.3', 9001", 1), "http://10.1.2.3:9001/cluster/events/"},
		"an IPv6 address":    {strings.Replace(scriptOf010, "127.0.0.1", "[::1]", 1), "http://[::1]:8001/cluster/events/"},
		"CRLF":               {strings.ReplaceAll(scriptOf010, "\n", "\r\n"), "http://127.0.0.1:8001/cluster/events/"},
	} {
		if url, ok := KongScript(test.script); !ok || url != test.url {
			t.Errorf("%s: got %q, %v, want %q", name, url, ok, test.url)
		}
	}
}

func TestKongScriptNearMisses(t *testing.T) {
	replace := func(old, new string) string {
		s := strings.Replace(scriptOf010, old, new, 1)
		if s == scriptOf010 {
			t.Fatalf("the script has no %q", old)
		}
		return s
	}
	for name, script := range map[string]string{
		"empty":                 "",
		"only the start":        "#!/bin/sh\n" + scriptStart,
		"a command more":        scriptOf010 + "logger done\n",
		"a command before":      replace("#!/bin/sh\n", "#!/bin/sh\nset -x\n"),
		"another shell":         replace("#!/bin/sh", "#!/bin/bash"),
		"another path":          replace("/cluster/events/", "/cluster/events/all"),
		"another method":        replace("'POST'", "'PUT'"),
		"another header":        replace("'content-type'", "'x-content-type'"),
		"a header more":         replace("application/json' \\\n", "application/json', ['x'] = 'y' \\\n"),
		"a filter in the shell": replace("`cat`", "`cat | jq -c .`"),
		"a comment in between":  replace("CMD=", "# mine\nCMD="),
		"code in the host":      replace("127.0.0.1", "127.0.0.1') os.execute('id"),
		"code in the port":      replace("8001", "8001) os.execute('id'"),
		"a payload elsewhere":   replace("[=[${PAYLOAD}]=]", "[=[${PAYLOAD}${EXTRA}]=]"),
		"a pipe at the end":     replace(`-e "$CMD"`, `-e "$CMD" | tee /tmp/log`),
		"a line that goes on":   replace("fi\n", "fi \\\n"),
		"one line":              strings.ReplaceAll(scriptOf010, "\n", " "),
		"another event's name":  replace(`!= "user"`, `!= "query"`),
		"no interpreter":        replace(`/usr/local/openresty/bin/resty -e "$CMD"`, ""),
		"the port is too long":  replace("8001", "800100"),
		"another program":       replace("bin/resty", "bin/my-resty"),
		"a program from here":   replace("/usr/local/openresty/bin/resty", "./resty"),
		"another timeout":       replace("5000", "60000"),
		"brackets of two kinds": strings.Replace(scriptOf06, "']]", "']=]", 1),
		"another LuaJIT":        strings.Replace(scriptOf06, "| luajit", "| luajit-mine", 1),
	} {
		if url, ok := KongScript(script); ok {
			t.Errorf("%s: taken for Kong's script, posting to %s", name, url)
		}
	}
}

// TestKongScriptHasNoByteToSpare takes away, and doubles, each byte of the scripts that
// is not part of what Kong fills in. What is left is a script that somebody has
// changed, and it has to run as it is.
func TestKongScriptHasNoByteToSpare(t *testing.T) {
	filledIn := regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|\b8\d01\b|[a-z/]*(resty -e|luajit)|# Read from stdin|\s+`)
	for name, script := range map[string]string{"0.10": scriptOf010, "early 0.9": scriptOfEarly09, "0.7": scriptOf07, "0.6": scriptOf06} {
		free := filledIn.FindAllStringIndex(script, -1)
		tried := 0
		for i := range script {
			if slices.ContainsFunc(free, func(span []int) bool { return i >= span[0] && i < span[1] }) {
				continue
			}
			tried++
			for _, changed := range []string{script[:i] + script[i+1:], script[:i] + script[i:i+1] + script[i:]} {
				if url, ok := KongScript(changed); ok {
					t.Errorf("%s with byte %d taken away or doubled is taken for Kong's, posting to %s:\n%s", name, i, url, changed)
				}
			}
		}
		if tried < 200 {
			t.Errorf("%s: only %d bytes were tried", name, tried)
		}
	}
}

func FuzzKongScript(f *testing.F) {
	for _, s := range []string{scriptOf010, scriptOf07, scriptOf06, scriptOfEarly09, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		url, ok := KongScript(script)
		if !ok {
			return
		}
		// Whatever it takes for Kong's must be a target that can be used, and
		// must carry the payload in one place only.
		target := target.Target{URL: url}
		if err := target.Validate(); err != nil && !strings.Contains(err.Error(), "port") {
			t.Errorf("%q gives %q: %v", script, url, err)
		}
		if strings.Count(script, "os.execute") > 0 {
			t.Errorf("%q was taken for Kong's script", script)
		}
	})
}
