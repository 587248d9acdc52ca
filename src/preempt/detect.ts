import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Cloud = 'aws' | 'gcp' | 'azure'

/** The chassis asset tag of every VM on Azure. */
const AZURE_TAG = '7783-7084-3265-9085-8269-3286-77'

/**
 * The cloud this machine is rented from, by what its firmware says of itself; undefined for none that is known. Nothing
 * is asked of the network: on any other machine the address of a metadata service belongs to somebody else.
 *
 * `root`: where sysfs is mounted.
 */
export function detectCloud(root = '/sys'): Cloud | undefined {
  const read = (file: string) => readText(join(root, file))
  const dmi = (file: string) => read(join('class/dmi/id', file))
  if (dmi('sys_vendor') === 'Amazon EC2' || dmi('bios_vendor') === 'Amazon EC2') return 'aws'
  if (dmi('sys_vendor') === 'Google' || dmi('product_name') === 'Google Compute Engine') return 'gcp'
  if (dmi('chassis_asset_tag') === AZURE_TAG || dmi('board_asset_tag') === AZURE_TAG) return 'azure'
  // Instances of before 2017 run on Xen, and their firmware says no more than that.
  if (/^ec2/i.test(read('hypervisor/uuid')) || /\.amazon$/.test(dmi('product_version'))) return 'aws'
  return undefined
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return '' // Not there, or not for this user: no reason to fail.
  }
}
