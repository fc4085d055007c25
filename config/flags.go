package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// BindFlags adds a flag for each setting, or for those with the given keys alone; the key of a group stands for what
// is in it. [Load] reads them after fs was parsed, and checks them there, together with the other sources. A key that
// is no setting is a mistake of the programmer and panics, as a flag that is defined twice does.
//
// The flags of cache.policies work and are left out of the usage text, where their sixty lines would hide the others.
func BindFlags(fs *pflag.FlagSet, keys ...string) {
	all := describe()
	for _, key := range keys {
		_, isSetting := all.byKey[key]
		_, isGroup := all.byGroup[key]
		if !isSetting && !isGroup {
			panic(fmt.Sprintf("config: BindFlags: %q is not a setting", key))
		}
	}
	for _, s := range all.settings {
		if !s.among(keys) {
			continue
		}
		f := fs.VarPF(&flagValue{setting: s, text: s.def}, s.flag(), "", s.usage())
		if s.codec.name == "bool" {
			f.NoOptDefVal = "true"
		}
		f.Hidden = s.name != ""
	}
}

// among reports whether one of the keys names s, its group or the secret that it fills; no keys name everything.
func (s setting) among(keys []string) bool {
	for _, key := range keys {
		if s.key == key || s.fills == key || strings.HasPrefix(s.key, key+".") {
			return true
		}
	}
	return len(keys) == 0
}

func (s setting) usage() string {
	usage := strings.TrimSuffix(s.help, ".")
	if len(s.oneOf) > 0 || s.min != "" {
		usage += " [" + s.allowed() + "]"
	}
	return usage
}

// flagValue keeps what the command line says as it is; Load parses it.
type flagValue struct {
	setting setting
	text    string
	given   bool
}

func (v *flagValue) String() string { return v.text }

// Set takes the text; a list may be given in several flags.
func (v *flagValue) Set(text string) error {
	if v.given && v.setting.list() {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// Type is what the usage text calls the value.
func (v *flagValue) Type() string { return v.setting.codec.name }

// readFlags reads the flags that were bound by BindFlags and are on the command line.
func (l *loader) readFlags(fs *pflag.FlagSet) {
	l.flags = layer{}
	if fs == nil {
		return
	}
	for _, s := range l.settings {
		f := fs.Lookup(s.flag())
		if f == nil || !f.Changed {
			continue
		}
		value, ours := f.Value.(*flagValue)
		if !ours {
			continue
		}
		l.flags.put(s, value.text, Source{Kind: FromFlag, Name: "--" + s.flag()})
		if s.secret() {
			l.warn("other users of this machine can see --"+s.flag()+" among the processes", "use --"+s.flag()+"-file or "+s.env()+"_FILE")
		}
	}
}
