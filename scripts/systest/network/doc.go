// Package network tests agents in network namespaces that are cut off, lose packets, or are at rest.
package network
