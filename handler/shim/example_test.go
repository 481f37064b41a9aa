package shim_test

import (
	"fmt"
	"log"
	"strings"

	"agentctl/handler/shim"
)

// A program that serf calls as an event handler gets the event as environment and
// standard input. It passes os.Environ() and os.Stdin; here both are made up.
func ExampleFromScript() {
	environ := []string{
		"SERF_EVENT=user",
		"SERF_USER_EVENT=purge",
		"SERF_USER_LTIME=7",
		"SERF_SELF_NAME=gateway-1",
	}
	stdin := strings.NewReader("/index.html\n")

	event, err := shim.FromScript(environ, stdin)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s event %q of Lamport time %d: %q\n", event.Type, event.Name, event.LTime, event.Payload)
	// Output: user event "purge" of Lamport time 7: "/index.html"
}

// Kong writes a script and has serf run it for each event. KongScript finds the URL
// in it, so that an agent can post there itself. A script with one line more has to
// be run, because that line may do something else.
func ExampleKongScript() {
	for _, script := range []string{kongScript, kongScript + "logger purged\n"} {
		if url, ok := shim.KongScript(script); ok {
			fmt.Println("post to", url)
		} else {
			fmt.Println("run the script")
		}
	}
	// Output:
	// post to http://127.0.0.1:8001/cluster/events/
	// run the script
}

// kongScript is an event script as Kong 0.10 writes it.
const kongScript = `#!/bin/sh

` + "PAYLOAD=`cat` # Read from stdin" + `
if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi

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
