package simln

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// builtins is every command of the node with its parameters; see parseUsage and paramKinds for the notation.
// Those that begin with sim- have no like in lightningd: they play the traders, the chain and the faults.
func builtins() map[string]*builtin {
	m := map[string]*builtin{}
	add := func(name, usage string, run func(*Node, *command) (any, error)) {
		m[name] = &builtin{specs: parseUsage(usage), run: run}
	}
	add("getinfo", "", (*Node).cmdGetInfo)
	add("help", "[command]", (*Node).cmdHelp)
	add("listconfigs", "[config]", (*Node).cmdListConfigs)
	add("setconfig", "config [val:any] [transient:bool]", (*Node).cmdSetConfig)
	add("stop", "", (*Node).cmdStop)
	add("notifications", "enable:bool", (*Node).cmdNotifications)
	add("makesecret", "[hex:hex] [string]", (*Node).cmdMakeSecret)
	add("signmessage", "message", (*Node).cmdSignMessage)
	add("checkmessage", "message zbase [pubkey:pubkey]", (*Node).cmdCheckMessage)
	add("datastore", "key:any [string] [hex:hex] [mode] [generation:u64]", (*Node).cmdDatastore)
	add("listdatastore", "[key:any]", (*Node).cmdListDatastore)
	add("deldatastore", "key:any [generation:u64]", (*Node).cmdDelDatastore)
	add("createrune", "[rune] [restrictions:any]", (*Node).cmdCreateRune)
	add("checkrune", "[rune] [nodeid:pubkey] [method] [params:any]", (*Node).cmdCheckRune)
	add("autoclean-status", "[subsystem]", (*Node).cmdAutocleanStatus)
	add("waitblockheight", "blockheight:u32 [timeout:u32]", (*Node).cmdWaitBlockHeight)
	add("wait", "subsystem indexname nextvalue:u64", (*Node).cmdWait)

	add("invoice", "amount_msat:msat+any label:label description [expiry:u64] [fallbacks:array] [preimage:secret] [exposeprivatechannels:any] [cltv:u32] [deschashonly:bool]", (*Node).cmdInvoice)
	add("listinvoices", "[label:label] [invstring] [payment_hash:hash] [offer_id:hash] [index] [start:u64] [limit:u32]", (*Node).cmdListInvoices)
	add("delinvoice", "label:label status [desconly:bool]", (*Node).cmdDelInvoice)
	add("signinvoice", "invstring", (*Node).cmdSignInvoice)
	add("createinvoice", "invstring label:label preimage:secret", (*Node).cmdCreateInvoice)
	add("waitanyinvoice", "[lastpay_index:u64] [timeout:u64]", (*Node).cmdWaitAnyInvoice)
	add("waitinvoice", "label:label", (*Node).cmdWaitInvoice)
	add("decode", "string", (*Node).cmdDecode)

	add("xpay", "invstring [amount_msat:msat] [maxfee:msat] [layers:array] [retry_for:u32] [partial_msat:msat] [maxdelay:u32] [payer_note] [label] [localinvreqid:hex]", (*Node).cmdXpay)
	add("listpays", "[bolt11] [payment_hash:hash] [status] [index] [start:u64] [limit:u32]", (*Node).cmdListPays)
	add("listsendpays", "[bolt11] [payment_hash:hash] [status] [index] [start:u64] [limit:u32]", (*Node).cmdListSendPays)
	add("waitsendpay", "payment_hash:hash [timeout:u32] [partid:u64] [groupid:u64]", (*Node).cmdWaitSendPay)
	add("delpay", "payment_hash:hash status [partid:u64] [groupid:u64]", (*Node).cmdDelPay)
	add("fetchinvoice", "offer [amount_msat:msat] [quantity:u64] [recurrence_counter:u64] [recurrence_start:any] [recurrence_label] [timeout:u32] [payer_note] [payer_metadata:hex] [bip353]", (*Node).cmdFetchInvoice)
	add("fetchbip353", "address", (*Node).cmdFetchBIP353)

	add("listpeerchannels", "[id:pubkey] [short_channel_id:scid] [channel_id:hash]", (*Node).cmdListPeerChannels)
	add("listhtlcs", "[id] [index] [start:u64] [limit:u32]", (*Node).cmdListHTLCs)
	add("listfunds", "[spent:bool]", (*Node).cmdListFunds)
	add("listchannelmoves", "[index] [start:u64] [limit:u32]", (*Node).cmdListChannelMoves)
	add("listchainmoves", "[index] [start:u64] [limit:u32]", (*Node).cmdListChainMoves)

	add("sim-wallet-new", "name:label msat:msat", (*Node).cmdWalletNew)
	add("sim-wallet-balance", "wallet:label", (*Node).cmdWalletBalance)
	add("sim-wallets", "", (*Node).cmdWallets)
	add("sim-wallet-connect", "wallet:label connected:bool", (*Node).cmdWalletConnect)
	add("sim-wallet-invoice", "wallet:label amount_msat:msat label:label [expiry:u64] [description]", (*Node).cmdWalletInvoice)
	add("sim-wallet-invoices", "wallet:label", (*Node).cmdWalletInvoices)
	add("sim-wallet-offer", "wallet:label [amount_msat:msat] [bip353]", (*Node).cmdWalletOffer)
	add("sim-wallet-pay", "wallet:label bolt11 [parts:u32] [pay_msat:msat] [delay_ms:u32] [wrong_secret:bool] [total_msat:msat] [cltv:u32] [shadow:u32] [next_scid:scid] [underlock_msat:msat] [missing_part:u32] [metadata:hex] [garbled:bool] [retry_for:u32]", (*Node).cmdWalletPay)
	add("sim-wallet-status", "wallet:label payment_hash:hash [payment_id:u64]", (*Node).cmdWalletStatus)
	add("sim-wallet-wait", "wallet:label payment_hash:hash [timeout:u32] [payment_id:u64]", (*Node).cmdWalletWait)
	add("sim-pay-script", "match:label mode [code:int] [delay_ms:u32] [parts:u32] [fee_msat:msat] [times:u32] [until_block:u32]", (*Node).cmdPayScript)
	add("sim-pay-release", "payment_hash:hash [outcome]", (*Node).cmdPayRelease)
	add("sim-audit", "", (*Node).cmdAudit)
	add("sim-mine", "[blocks:u32]", (*Node).cmdMine)
	add("sim-advance-clock", "seconds:u32", (*Node).cmdAdvanceClock)
	add("sim-bitcoind-sync", "synced:bool", (*Node).cmdBitcoindSync)
	add("sim-fault", "method mode [delay_ms:u32] [code:int] [times:u32]", (*Node).cmdFault)
	add("sim-kill-plugin", "plugin", (*Node).cmdKillPlugin)

	m["check"] = &builtin{specs: parseUsage("command_to_check"), loose: true, run: (*Node).check}
	m["plugin"] = &builtin{specs: parseUsage("subcommand [plugin] [directory] [options:array]"), loose: true, run: (*Node).cmdPlugin}
	return m
}

func (n *Node) cmdGetInfo(*command) (any, error) {
	active, inactive := 0, 0
	for _, ch := range n.st.channels {
		switch ch.State {
		case channelNormal:
			active++
		case channelOnchain:
			inactive++
		}
	}
	o := obj("id", n.id, "alias", "SIMLN-"+n.id[2:8], "color", n.id[:6], "num_peers", active, "num_pending_channels", 0,
		"num_active_channels", active, "num_inactive_channels", inactive, "address", []any{}, "binding", []any{},
		"version", Version, "blockheight", n.height, "network", n.cfg.Network, "fees_collected_msat", 0,
		"lightning-dir", n.dir, "our_features", featureSet())
	o.addIf(n.warnBtc, "warning_bitcoind_sync", "Bitcoind is not up-to-date with network.")
	return o.addIf(n.syncing, "warning_lightningd_sync", "Still loading latest blocks from bitcoind."), nil
}

func (n *Node) cmdHelp(c *command) (any, error) {
	usages := map[string]string{}
	for name, b := range n.commands {
		usages[name] = shownUsage(b.specs)
	}
	for _, p := range n.plugins {
		maps.Copy(usages, p.usages)
	}
	if c.has("command") {
		usage, ok := usages[c.str("command")]
		if !ok {
			return nil, failf(codeNoMethod, "Unknown command %s", c.str("command"))
		}
		usages = map[string]string{c.str("command"): usage}
	}
	out := []*object{}
	for _, name := range sortedKeys(usages) {
		out = append(out, obj("command", strings.TrimSpace(name+" "+usages[name])))
	}
	return obj("help", out, "format-hint", "simple"), nil
}

func (n *Node) cmdListConfigs(c *command) (any, error) {
	all := obj(
		"network", obj("value_str", n.cfg.Network, "source", "cmdline"),
		"lightning-dir", obj("value_str", n.cfg.Dir, "source", "cmdline"),
		"rpc-file", obj("value_str", "lightning-rpc", "source", "default"),
		"allow-deprecated-apis", obj("value_bool", n.cfg.AllowDeprecated, "source", "default"),
		"cltv-final", obj("value_int", n.cfg.CLTVFinal, "source", "default"),
		"cltv-delta", obj("value_int", 6, "source", "default"),
		"rescan", obj("value_int", rescanBlocks, "source", "default"),
		"max-concurrent-htlcs", obj("value_int", 483, "source", "default"))
	for _, important := range []bool{false, true} {
		values, sources := []string{}, []string{}
		for _, p := range n.plugins {
			if p.important == important {
				values, sources = append(values, p.path), append(sources, "cmdline")
			}
		}
		all.addIf(len(values) > 0, map[bool]string{false: "plugin", true: "important-plugin"}[important],
			obj("values_str", values, "sources", sources))
	}
	for _, p := range n.plugins {
		for _, o := range p.opts {
			if v := o.config(p.path); v != nil {
				all.add(o.name, v)
			}
		}
	}
	if !c.has("config") {
		return obj("configs", all), nil
	}
	if i := slices.Index(all.names, c.str("config")); i >= 0 {
		return obj("configs", obj(all.names[i], all.values[i])), nil
	}
	return nil, failf(codeInvalidParams, "Unknown config option '%s'", c.str("config"))
}

// config is the option as listconfigs shows it; nil where it has no value. A concealed one shows dots.
func (o *pluginOption) config(path string) *object {
	source, values := "cmdline", o.values
	if !o.seen {
		source, values = "default", []string{o.def}
		if !o.hasDefault && o.kind != "flag" {
			return nil
		}
	}
	out := obj()
	last := values[len(values)-1]
	switch {
	case o.kind == "flag":
		out.add("set", o.seen)
	case o.kind == "string-conceal":
		out.add("value_str", "...")
	case o.multi:
		sources := make([]string, len(values))
		for i := range sources {
			sources[i] = source
		}
		return out.add("values_str", values).add("sources", sources).add("plugin", path)
	case o.kind == "int":
		out.add("value_int", o.typed(last))
	case o.kind == "bool":
		out.add("value_bool", o.typed(last))
	default:
		out.add("value_str", last)
	}
	return out.add("source", source).add("plugin", path).addIf(o.dynamic, "dynamic", true)
}

func (n *Node) cmdStop(c *command) (any, error) {
	n.stopWaiters = append(n.stopWaiters, c)
	n.beginStop(0)
	return nil, errLater
}

func (n *Node) cmdNotifications(c *command) (any, error) {
	c.conn.notify = c.bool("enable")
	return obj(), nil
}

func (n *Node) cmdMakeSecret(c *command) (any, error) {
	if c.has("hex") == c.has("string") {
		if c.has("hex") {
			return nil, failf(codeInvalidParams, "Must have only hex or string, not both")
		}
		return nil, failf(codeInvalidParams, "Must have either hex or string")
	}
	info := []byte(c.str("string"))
	if c.has("hex") {
		info, _ = hex.DecodeString(c.str("hex"))
	}
	secret := derive(n.secret, "makesecret "+string(info))
	return obj("secret", hexOf(secret[:])), nil
}

const maxMessage = 65535

func (n *Node) cmdSignMessage(c *command) (any, error) {
	if len(c.str("message")) > maxMessage {
		return nil, failf(codeInvalidParams, "Message must be < 64k")
	}
	sig := signMessage(n.key, c.str("message"))
	return obj("signature", hexOf(sig[1:]), "recid", fmt.Sprintf("%02x", sig[0]-31), "zbase", zbaseEncode(sig)), nil
}

func (n *Node) cmdCheckMessage(c *command) (any, error) {
	sig, err := zbaseDecode(c.str("zbase"))
	if err != nil {
		return nil, failf(codeInvalidParams, "zbase: should be valid zbase32: invalid token '%s'", c.values["zbase"])
	}
	key, err := recoverMessageKey(c.str("message"), sig)
	if err != nil {
		return nil, failf(codeInvalidParams, "zbase: %v", err)
	}
	known := key == n.id
	for name := range n.st.wallets {
		known = known || key == pubHex(n.walletKey(name))
	}
	if c.has("pubkey") {
		return obj("pubkey", key, "verified", key == c.str("pubkey")), nil
	}
	if !known {
		return nil, &rpcError{1301, "pubkey not found in the graph", obj("claimed_key", key)}
	}
	return obj("pubkey", key, "verified", true), nil
}

func (n *Node) cmdCreateRune(c *command) (any, error) {
	id := n.indexes("runes").created() - 1
	n.st.put(n.st.meta)
	r := derive(n.secret, fmt.Sprintf("rune %d %s", id, c.str("restrictions")))
	return obj("rune", hexOf(r[:]), "unique_id", fmt.Sprint(id)).
		addIf(!c.has("restrictions"), "warning_unrestricted_rune", "WARNING: This rune has no restrictions! Anyone who has access to this rune could drain funds from your node. Be careful when giving this to apps that you don't trust. Consider using the restrictions parameter to only allow access to specific rpc methods."), nil
}

// cmdCheckRune knows the runes that this node made without restrictions.
func (n *Node) cmdCheckRune(c *command) (any, error) {
	for id := range n.indexes("runes").Created {
		if r := derive(n.secret, fmt.Sprintf("rune %d ", id)); hexOf(r[:]) == c.str("rune") {
			return obj("valid", true), nil
		}
	}
	return nil, failf(1501, "Not authorized: Invalid rune")
}

func (n *Node) cmdAutocleanStatus(c *command) (any, error) {
	out := obj()
	for _, name := range []string{"succeededforwards", "failedforwards", "succeededpays", "failedpays", "paidinvoices", "expiredinvoices", "networkevents"} {
		if !c.has("subsystem") || c.str("subsystem") == name {
			out.add(name, obj("enabled", false, "cleaned", 0))
		}
	}
	if len(out.names) == 0 {
		return nil, failf(codeInvalidParams, "subsystem: should be a valid subsystem name: invalid token '%s'", c.values["subsystem"])
	}
	return obj("autoclean", out), nil
}

func (n *Node) cmdMine(c *command) (any, error) {
	n.mineTo(n.st.meta.ChainHeight + uint32(c.uintOr("blocks", 1)))
	return obj("blockheight", n.st.meta.ChainHeight), nil
}

func (n *Node) cmdAdvanceClock(c *command) (any, error) {
	seconds := c.uintOr("seconds", 0)
	n.st.meta.ClockOffset += int64(seconds)
	n.st.put(n.st.meta)
	n.clock.advance(secondsOf(seconds))
	return obj("time", n.unixNow()), nil
}

func (n *Node) cmdBitcoindSync(c *command) (any, error) {
	n.warnBtc = !c.bool("synced")
	return obj(), nil
}

func (n *Node) cmdKillPlugin(c *command) (any, error) {
	for _, p := range n.plugins {
		if p.matches(c.str("plugin")) {
			p.process.Kill()
			return obj("killed", p.path), nil
		}
	}
	return nil, failf(codeInvalidParams, "Could not find plugin %s", c.str("plugin"))
}
