/** What each shell loads. They know nothing of the options: they ask the program for candidates. */
export const scripts: Readonly<Record<string, string>> = {
  bash: `# axllm completion for bash: source <(axllm completion bash)
_axllm() {
  local line="\${COMP_LINE:0:COMP_POINT}" cur words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  cur="\${words[-1]}"
  local IFS=$'\\n'
  COMPREPLY=($("\${words[0]}" --get-completions "\${words[@]:1}" 2>/dev/null))
  if ((\${#COMPREPLY[@]} == 0)); then
    compopt -o default
    return
  fi
  # bash breaks words at = and : and replaces only what comes after the last of them
  local prefix="\${cur%"\${cur##*[=:]}"}" i
  for i in "\${!COMPREPLY[@]}"; do COMPREPLY[i]="\${COMPREPLY[i]#"$prefix"}"; done
}
complete -F _axllm axllm
`,
  zsh: `#compdef axllm
# axllm completion for zsh: source <(axllm completion zsh)
_axllm() {
  local -a found
  found=("\${(@f)$("\${words[1]}" --get-completions "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -z "\${found[1]}" ]]; then
    _files
  else
    compadd -- "\${found[@]}"
  fi
}
if [[ -z \${functions[compdef]} ]]; then
  autoload -Uz compinit && compinit -u
fi
compdef _axllm axllm
`,
  fish: `# axllm completion for fish: axllm completion fish | source
function __axllm_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] --get-completions $words[2..-1] 2>/dev/null
end
complete -c axllm -a '(__axllm_complete)'
`,
  powershell: `# axllm completion for PowerShell: axllm completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName axllm -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  if ($wordToComplete -eq '') { $words += '""' }
  axllm --get-completions @words 2>$null | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`,
};
