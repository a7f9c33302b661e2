//! Peers over libp2p: gossip, request and response, streams. Moves bytes, knows no meanings.
