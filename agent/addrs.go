package agent

import (
	"net"

	"agentctl/agent/config"
)

// warnOpen says so where anyone on the network can command this agent.
func (a *Agent) warnOpen() {
	if a.opts.RPCAuthKey == "" && open(a.ports.RPC.Addr()) {
		a.logger.Warn("RPC is open to the network without a key: set rpc_auth, or listen on 127.0.0.1 by -rpc-addr",
			"addr", a.RPCAddr())
	}
	if a.opts.HTTPTokenFile == "" && a.ops.Addr() != nil && open(a.ops.Addr()) {
		a.logger.Warn("the operations endpoint is open to the network without a token: set -http-token-file, or listen on 127.0.0.1 by -http-addr",
			"addr", a.HTTPAddr())
	}
}

// open reports whether others than this machine can reach a port.
func open(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// RPCAddr is the address that RPC clients connect to.
func (a *Agent) RPCAddr() string { return addrOf(a.ports.RPC.Addr()) }

// addrOf is an address in the form of the settings.
func addrOf(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return addr.String()
}

// HTTPAddr is the address of the operations endpoint, or "off".
func (a *Agent) HTTPAddr() string {
	addr := a.ops.Addr()
	if addr == nil {
		return config.Off
	}
	return addrOf(addr)
}

// GossipAddr is the address that other members know this one by.
func (a *Agent) GossipAddr() string { return a.serf.Addr() }

// Encrypted tells whether gossip is encrypted.
func (a *Agent) Encrypted() bool { return a.serf.EncryptionEnabled() }
