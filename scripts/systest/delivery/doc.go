// Package delivery tests events on their way to a gateway, while the gateway, the agent or the disk fails.
package delivery
