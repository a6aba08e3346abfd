"""The menu's content. An entry more is a line here; what it runs has to be a command of ours."""

from __future__ import annotations

from firstboot.menu.actions import Answer, Command, Entry, Helps, Leave, Menu, Text

BACK = Entry("q", "Back", "Goes back to the menu before.", Leave())


def _set(key: str, value: str) -> Command:
    return Command(("settings", "set", key, value))


def _ask(key: str, question: str) -> Command:
    return Command(("settings", "set", key, Answer(0)), questions=(question,))


SETTINGS = Menu(
    "Initial setup",
    (
        Entry(
            "s",
            "Show all settings",
            "Shows every setting that counts, defaults too. Password hashes are hidden.",
            Command(("settings", "show", "--defaults"), pages=True),
        ),
        Entry(
            "c",
            "Change a setting",
            "Changes one value. The settings are checked as a whole before anything is changed, "
            "and you are told when the change counts.",
            Command(
                ("settings", "set", Answer(0, "word"), Answer(1, "word")),
                questions=(
                    "Which key? As it is shown: hostname, people[0].name, updates.window",
                    "Which value? Text as it is, true or false, lists in [ ] with commas.",
                ),
            ),
        ),
        Entry(
            "w",
            "What can be changed later",
            "Tells which choices of the first setup can be changed, and how.",
            Text(
                (
                    "This machine is set up. All that was chosen then can be changed:",
                    "Host name, domains, people, network: here, by c. It counts from the next "
                    "start on, and new DNS records may be needed.",
                    "Upgrades, the administrator's password, remote access: by their own entries "
                    "of the main menu, at once.",
                    "What protects the disk: by c, key disk.protection. At its next start the "
                    "machine asks on its console for what it needs to know.",
                    "To begin again from nothing: factory reset.",
                )
            ),
        ),
        BACK,
    ),
)

BACKUPS = Menu(
    "Backups",
    (
        Entry("s", "How the backups are", "Shows each place, its last good backup and its last "
              "test restore.",
              Command(("backup", "list"), pages=True)),
        Entry("n", "Back up now", "Makes a backup at every place. Mail comes in meanwhile.",
              Command(("backup", "now"))),
        Entry("t", "Try the places", "Shows each place, and tries to get in there.",
              Command(("backup", "targets", "--try"), pages=True)),
        Entry("g", "Give the credentials of a place", "Asks for what it takes to get in there: a "
              "key, a password. By SSH a private key can be pasted.",
              Command(("backup", "targets", "--credentials", Answer(0, "word")),
                      questions=("The name of the place, as `Try the places` shows it?",))),
        Entry("u", "Credentials from a stick", "Takes them from a file on a USB stick. Its name "
              "is credentials-NAME.txt, NAME being that of the place. Wipe the stick afterwards.",
              Command(("backup", "targets", "--credentials", Answer(0, "word"),
                       "--stick", Answer(1, "word")),
                      questions=("The name of the place, as `Try the places` shows it?",
                                 "The label (name) of the USB stick?"))),
        Entry("v", "Verify", "Restores a random sample of the newest backups and compares it.",
              Command(("backup", "verify"))),
        Entry("k", "Show the recovery kit", "Shows the page with the code that opens the backups. "
              "Write it down, and keep it away from the machine.",
              Command(("backup", "kit"), pages=True)),
        Entry("p", "Save the recovery kit to a stick", "Writes it to a USB stick, as text and as a "
              "page to print. Wipe the stick when it is printed.",
              Command(("backup", "kit", "--stick", Answer(0, "word")),
                      questions=("The label (name) of the USB stick?",))),
        Entry("c", "Confirm the recovery kit", "Shows that the kit was kept.",
              Command(("backup", "kit", "--confirm", Answer(0, "word")),
                      questions=("The group of the code that the kit's last line asks for?",))),
        Entry("x", "Make another code", "Voids the present kit, such as when it was lost.",
              Command(("backup", "kit", "--new"))),
        BACK,
    ),
)  # fmt: skip

RESTORE = Menu(
    "Restore from backup",
    (
        Entry("l", "Show the backups", "Asks where the backups are and lists them. Changes "
              "nothing.", Command(("backup", "restore", "--list"))),
        Entry("e", "Everything", "Fetches a backup of the whole machine, and puts it in place at "
              "the next start. It asks for the machine's name first: what came later is lost.",
              Command(("backup", "restore"))),
        Entry("p", "One person's mail", "Puts one person's mail back to the time of a backup, at "
              "the next start. All else stays.",
              Command(("backup", "restore", "--only", Answer(0, "word")),
                      questions=("Whose mail? The address, such as ada@example.com",))),
        Entry("f", "One mail folder", "Fetches one folder of one person. What is missing now comes "
              "with that person's next login, in a folder beside it. Nothing is lost.",
              Command(("backup", "restore", "--only", Answer(0, "word"), "--folder",
                       Answer(1, "word")),
                      questions=("Whose folder? The address, such as ada@example.com",
                                 "Which folder? As a mail program shows it, such as INBOX"))),
        Entry("c", "Cancel", "Forgets a restore that was fetched and is not in place yet.",
              Command(("backup", "restore", "--cancel"))),
        BACK,
    ),
)  # fmt: skip

CERTIFICATES = Menu(
    "Certificates",
    (
        Entry("r", "Renew now", "Gets a new certificate from the authority, if one is due. The "
              "machine does so by itself; this is for when it failed.", Command(("cert", "renew"))),
        Entry("a", "From an authority", "Gets a certificate from Let's Encrypt, which everybody "
              "trusts. The host name must lead to this machine, and port 80 be reachable.",
              _set("tls.method", "acme")),
        Entry("s", "Self-signed", "Goes back to the certificate that the machine makes itself. "
              "Mail programs ask whether they should trust it.", _set("tls.method", "self-signed")),
        BACK,
    ),
    shows=("cert", "status"),
)  # fmt: skip

AUTOMATIC = Menu(
    "Automatic upgrades",
    (
        Entry("a", "Upgrade automatically", "Lets the machine install new versions by itself, in "
              "the window of time below. A version that does not work gives way to the one "
              "before.", _set("updates.automatic", "true")),
        Entry("m", "Upgrade only when told to", "Installs nothing by itself. Use Upgrades in the "
              "main menu.", _set("updates.automatic", "false")),
        Entry("w", "Change the window", "Sets the time of day in which an automatic upgrade may "
              "begin. Mail is away for some minutes then.",
              _ask("updates.window", "From when to when, in UTC? Such as 02:00-05:00")),
        Entry("u", "Change where releases come from", "Sets the address of the published "
              "directory. It needs no trust, since every release is signed.",
              _ask("updates.url", "Which address? Such as https://updates.example.com/mailstead")),
        Entry("s", "Take stable releases", "Takes releases that have proved themselves.",
              _set("updates.channel", "stable")),
        Entry("c", "Take release candidates", "Takes releases before they are stable. For a "
              "machine whose mail may be away for a while.", _set("updates.channel", "candidate")),
        Entry("b", "Bytes cost money here", "Fetches nothing unasked, as on a mobile network.",
              _set("updates.metered", "true")),
        Entry("f", "Bytes are free here", "Lets the machine fetch what it needs.",
              _set("updates.metered", "false")),
        BACK,
    ),
    shows=("settings", "show", "updates", "--defaults"),
)  # fmt: skip

UPGRADES = Menu(
    "Upgrades",
    (
        Entry("c", "Is there a new version?", "Looks for a newer version, and says what is "
              "new in it. Changes nothing.",
              Command(("update", "check"), pages=True)),
        Entry("i", "Install the newest version", "Installs it beside the one that runs, after "
              "asking, and restarts. If mail does not work then, the one before comes back.",
              Command(("update", "apply"))),
        Entry("u", "Install from a USB stick", "Takes the release from a stick with the label "
              "MAILSTEAD. It needs no network.",
              Command(("update", "apply", "--from", "usb"))),
        Entry("s", "What runs, what is planned", "Shows what runs, what to go back to, and when "
              "the next upgrade is due.",
              Command(("update", "status"), pages=True)),
        Entry("h", "What was tried", "Shows every upgrade that was tried, and what became of it.",
              Command(("update", "history"), pages=True)),
        Entry("g", "Go back to the version before", "Starts the version before this one, after "
              "asking. No mail is lost.", Command(("update", "rollback"))),
        BACK,
    ),
)  # fmt: skip

DISK = Menu(
    "Disk protection",
    (
        Entry("s", "What opens the disk", "Shows what opens the disk, and whom that keeps out.",
              Command(("disk", "status"), pages=True)),
        Entry("n", "Make a new recovery key", "Makes another recovery key and shows it; the old "
              "one opens nothing any more. Have pen and paper, or a phone that scans.",
              Command(("disk", "recovery-key", "new"))),
        Entry("l", "I have lost the recovery key", "Lets the next start make a new one and show it "
              "on the console. For when the machine still starts by itself.",
              Command(("disk", "recovery-key", "new", "--at-next-start"))),
        Entry("c", "Confirm the recovery key", "Asks for one group of the recovery key. Then "
              "it is shown to nobody any more.",
              Command(("disk", "recovery-key", "confirm"))),
        BACK,
    ),
)  # fmt: skip

NETWORK = Menu(
    "Network",
    (
        Entry("d", "Addresses by DHCP", "Lets the router give the machine its addresses. It counts "
              "from the next start on.",
              Command(("settings", "unset", "network"))),
        Entry("f", "Fixed addresses", "Gives the machine addresses of its own. It counts from the "
              "next start on; with wrong ones the machine is off the network, and its console is "
              "the way to correct them.",
              Command(
                  (
                      "settings", "set", "network.method", "static",
                      "network.addresses", Answer(0, "list"),
                      "network.gateways", Answer(1, "list"),
                      "network.dns", Answer(2, "list"),
                  ),
                  questions=(
                      "Which addresses? With prefix length, such as 192.0.2.10/24",
                      "Which gateway? Such as 192.0.2.1; one more for IPv6",
                      "Which DNS servers? Such as 192.0.2.1",
                  ),
              )),
        Entry("m", "Send through a smart host", "Gives all mail to others to a server that passes "
              "it on. For networks that close port 25. Asks for its password last. It counts from "
              "the next start on.",
              Command(
                  (
                      "settings", "set", "relay.host", Answer(0), "relay.tls", Answer(1),
                      "relay.username", Answer(2), "relay.password", "-",
                  ),
                  questions=(
                      "Which server? Its name, such as smtp.example.net",
                      "How encrypted? starttls (port 587) or implicit (port 465)",
                      "Which user name does it want?",
                  ),
              )),
        Entry("s", "Send directly", "Delivers mail to others without a smart host. It counts from "
              "the next start on.", Command(("settings", "unset", "relay"))),
        BACK,
    ),
    shows=("settings", "show", "network", "--defaults"),
)  # fmt: skip

DNS = Menu(
    "DNS records",
    (
        Entry("s", "Show the records", "Shows every record that your domains need, to copy to "
              "where your DNS is.", Command(("dns", "show"), pages=True)),
        Entry("z", "As lines of a zone file", "Shows the same as lines of zone files (RFC 1035).",
              Command(("dns", "show", "--zone"), pages=True)),
        Entry("f", "As forms ask for them", "Shows the same as web pages of providers ask for it. "
              "That is the name within your domain, the priority and the value, apart.",
              Command(("dns", "export", "--style", "form"), pages=True)),
        Entry("c", "Check what is published", "Asks the servers of your domains, and others, "
              "what is missing or wrong.", Command(("dns", "check"), pages=True)),
        Entry("p", "Publish them", "Sends what is missing to your name server, after showing it "
              "and asking. It must take updates (RFC 2136), and be in the settings below dns.",
              Command(("dns", "publish"))),
        BACK,
    ),
)  # fmt: skip

QUEUE = Menu(
    "Mail queue",
    (
        Entry("s", "What waits, and why", "Shows every message that is not delivered yet, in plain "
              "words.", Command(("queue", "list"), pages=True)),
        Entry("t", "Try all now", "Tries to deliver everything at once. The machine does so by "
              "itself, too, less and less often, for five days.", Command(("queue", "retry"))),
        Entry("k", "Keep one back", "Keeps a message from being delivered until it is let go.",
              Command(("queue", "hold", Answer(0, "word")),
                      questions=("Which message? Its ID, as s shows it",))),
        Entry("g", "Let one go", "Lets a message be delivered that was kept back.",
              Command(("queue", "release", Answer(0, "word")),
                      questions=("Which message? Its ID, as s shows it",))),
        Entry("x", "Delete one", "Deletes a message, after asking. Neither sender nor recipient is "
              "told.",
              Command(("queue", "delete", Answer(0, "word")),
                      questions=("Which message? Its ID, as s shows it",))),
        BACK,
    ),
)  # fmt: skip

LOGS = Menu(
    "Logs and mail queue",
    (
        Entry("w", "Mail that waits", "Shows what is not delivered yet and why, and what can be "
              "done about it.", QUEUE),
        Entry("t", "Mail to somebody", "Tells what became of it, and why it did not arrive. It "
              "goes back a week, and tells of what was refused, too.",
              Command(("log", "search", "--to", Answer(0, "word")), pages=True,
                      questions=("To whom? The address, or a part of it",))),
        Entry("f", "Mail from somebody", "Tells the same by the sender.",
              Command(("log", "search", "--from", Answer(0, "word")), pages=True,
                      questions=("From whom? The address, or a part of it",))),
        Entry("s", "Who was stopped from sending", "Shows whose limit on sending was reached "
              "within the last 24 hours. A stolen password may be why.",
              Command(("alarms", "list"), pages=True)),
        Entry("m", "Mailstead", "Shows what the machine's own programs said, the last 200 lines.",
              Command(("logs",), pages=True)),
        Entry("a", "All mail services", "Shows what the containers said, the last 200 lines.",
              Command(("logs", "--services"), pages=True)),
        Entry("e", "Errors only", "Shows errors of the whole system since it started.",
              Command(("logs", "--errors"), pages=True)),
        BACK,
    ),
)  # fmt: skip

POWER = Menu(
    "Restart or switch off",
    (
        Entry("r", "Restart", "Restarts the machine, after asking. Mail is away for some minutes; "
              "other servers try again by themselves.", Command(("power", "restart"))),
        Entry("o", "Switch off", "Switches the machine off, after asking. Somebody has to be there "
              "to switch it on again.", Command(("power", "off"))),
        BACK,
    ),
)  # fmt: skip

RESET = Menu(
    "Factory reset",
    (
        Entry("s", "Forget the settings, keep the mail", "Restarts the machine as if it were new, "
              "but with its mail. It asks for the machine's name first.",
              Command(("reset", "settings"))),
        Entry("e", "Erase everything", "Erases all mail, settings and keys, for good. It offers a "
              "last backup and asks for the machine's name. Nobody can get the mail back.",
              Command(("reset", "everything"))),
        BACK,
    ),
)  # fmt: skip

ADMINISTRATOR = Menu(
    "Administrator's password",
    (
        Entry("n", "Set a new password", "Asks twice for a new password of this menu. It is not "
              "the password of a mailbox.", Command(("admin", "password"))),
        BACK,
    ),
    shows=("admin", "status"),
)  # fmt: skip

SSH = Menu(
    "Remote access (SSH)",
    (
        Entry("s", "Who may log in", "Shows whether SSH is on, its keys, and from where.",
              Command(("ssh", "status"), pages=True)),
        Entry("a", "Add a key", "Adds a public key: one line, as in the file id_ed25519.pub of "
              "your computer. It leads to this menu and to nothing else.",
              Command(("ssh", "add", Answer(0, "word")), questions=(
                  "Which public key? The whole line, such as ssh-ed25519 AAAA... you@laptop",
              ))),
        Entry("r", "Take a key away", "Takes away a key, by its number.",
              Command(("ssh", "remove", Answer(0, "word")),
                      questions=("Which key? Its number, as s shows it",))),
        Entry("n", "Change from where", "Sets the networks that may log in. 0.0.0.0/0 and ::/0 "
              "are the whole internet.",
              Command(("settings", "set", "ssh.networks", Answer(0, "list")),
                      questions=("Which networks? Such as 192.0.2.0/24, 2001:db8::/64",))),
        Entry("1", "Switch on", "Lets those in who have a key.", Command(("ssh", "on"))),
        Entry("0", "Switch off", "Lets nobody in any more.", Command(("ssh", "off"))),
        BACK,
    ),
)  # fmt: skip

MAIN = Menu(
    "Mailstead",
    (
        Entry("1", "Initial setup", "Shows the settings, and changes them. Tells what can be "
              "changed later.", SETTINGS),
        Entry("2", "Set up backups", "Shows, makes and verifies backups; shows the recovery kit.",
              BACKUPS),
        Entry("3", "Set up auto upgrades", "Chooses whether, when and from where the machine "
              "upgrades itself.", AUTOMATIC),
        Entry("4", "Renew certificates", "Shows the certificate, renews it, changes where it comes "
              "from.",
              CERTIFICATES),
        Entry("5", "Restore from backup", "Brings back all of the machine, or one person's mail, "
              "as it was.", RESTORE),
        Entry("s", "Status", "Shows how the machine is: version, services, memory, disk.",
              Command(("status",), pages=True)),
        Entry("c", "Checks", "Finds out whether everything works, with a real message sent and "
              "read. Takes up to a few minutes.", Command(("check",), pages=True)),
        Entry("u", "Upgrades", "Looks for a new version, installs it, or goes back.", UPGRADES),
        Entry("d", "Disk protection", "Shows what opens the encrypted disk. Makes a new recovery "
              "key.", DISK),
        Entry("p", "People", "Lists everybody with a mailbox.",
              Command(("settings", "show", "people"), pages=True)),
        Entry("z", "DNS records", "Shows which records your domains need, and checks them.", DNS),
        Entry("n", "Network", "Shows and changes how the machine gets its addresses, and how mail "
              "gets out.", NETWORK),
        Entry("l", "Logs and mail queue", "Shows what the services wrote down, and which mail "
              "waits.", LOGS),
        Entry("r", "Remote access (SSH)", "Lets you use this menu from another computer.", SSH),
        Entry("a", "Administrator's password", "Sets the password that opens this menu on the "
              "console.", ADMINISTRATOR),
        Entry("o", "Restart or switch off", "Restarts the machine, or switches it off.", POWER),
        Entry("f", "Factory reset", "Sets the machine up anew, with its mail or without.", RESET),
        Entry("h", "Help", "Explains every entry of this menu.", Helps()),
        Entry("q", "Exit", "Leaves the menu. The machine goes on working.", Leave()),
    ),
)  # fmt: skip
