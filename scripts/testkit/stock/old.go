package stock

import "strings"

// withoutModule are the releases from before Go had modules, and the package of
// their program.
var withoutModule = map[string]string{
	V081: "github.com/hashicorp/serf/cmd/serf",
	V070: "github.com/hashicorp/serf",
}

// oldModule is a go.mod to build one of them with. These are the first tagged
// versions of what they were released with. The revisions that serf's own lists name
// are older than any tag, and a module proxy need not have them.
func oldModule(version string) string { return strings.ReplaceAll(oldModules, "VERSION", version) }

const oldModules = `module stock

go 1.26

require (
	github.com/armon/circbuf v0.0.0-20150827004946-bbbad097214e
	github.com/armon/go-metrics v0.3.0
	github.com/hashicorp/go-msgpack v0.5.3
	github.com/hashicorp/go-sockaddr v1.0.0
	github.com/hashicorp/go-syslog v1.0.0
	github.com/hashicorp/logutils v1.0.0
	github.com/hashicorp/mdns v1.0.0
	github.com/hashicorp/memberlist v0.1.0
	github.com/hashicorp/serf VERSION
	github.com/mitchellh/cli v1.0.0
	github.com/mitchellh/mapstructure v1.0.0
	github.com/ryanuber/columnize v2.1.0+incompatible
	github.com/sean-/seed v0.0.0-20170313163322-e2103e2c3529
)
`
